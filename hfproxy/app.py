"""The application's table of contents: what a request passes, outermost first, then one line for each feature."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import web

from hfproxy.downstream.at_once import QUICK_LANE, QuickLane
from hfproxy.downstream.browsers import answer_headers, preflights
from hfproxy.downstream.connections import refuse_surplus
from hfproxy.downstream.forwarded import TrustedProxies, origins
from hfproxy.downstream.middleware import Places, hand_back_id, request_line
from hfproxy.downstream.problems import mark_started, problems
from hfproxy.downstream.unfit import refuse_unfit
from hfproxy.errands import Errands
from hfproxy.features.access import wiring as access
from hfproxy.features.access.identify import identify
from hfproxy.features.account import wiring as account
from hfproxy.features.audit import wiring as audit
from hfproxy.features.files import wiring as files
from hfproxy.features.metadata import wiring as metadata
from hfproxy.features.neighbours import wiring as neighbours
from hfproxy.features.ops import wiring as ops
from hfproxy.features.passthrough import wiring as passthrough
from hfproxy.features.policy import wiring as policy
from hfproxy.features.policy.taking import count_requests
from hfproxy.features.repos import wiring as repos
from hfproxy.features.ui import wiring as ui
from hfproxy.features.webhooks import wiring as webhooks
from hfproxy.features.xet import wiring as xet
from hfproxy.keys import CARRIED, CHECKS, DATABASE, ERRANDS, HUB, METRICS, NOTICES, SETTINGS, SIGHTINGS, WRITE_WATCHERS
from hfproxy.metrics import Metrics
from hfproxy.settings import Settings
from hfproxy.starting import CannotStart
from hfproxy.storage.notices import Notices
from hfproxy.storage.opening import open_database
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.connecting import session_to
from hfproxy.upstream.watching import HubSightings, watch

if TYPE_CHECKING:
    from hfproxy.tracing import Tracing  # an extra: imported where it is switched on

TRACING: Final = web.AppKey["Tracing"]("tracing")


def create_app(settings: Settings) -> web.Application:
    """The gateway for these settings; nothing is opened until it starts."""
    metrics = Metrics()
    server = settings.server
    proxies = TrustedProxies(server.trusted_proxies, header=server.forwarded_header)
    places = Places(server.max_requests_in_flight)
    cors_origins = frozenset(server.cors_origins)
    tracing = start_tracing() if settings.ops.traces else None
    app = web.Application(
        middlewares=[
            *([tracing.requests()] if tracing else []),
            request_line(metrics),
            origins(proxies),
            *([preflights(cors_origins)] if cors_origins else []),
            refuse_surplus,
            problems,
            refuse_unfit,
            places.middleware(),
            identify,
            count_requests,
        ],
        client_max_size=int(server.max_body_size),
    )
    app[SETTINGS] = settings
    app[METRICS] = metrics
    app[CHECKS] = {}
    app[CARRIED] = {}
    app[WRITE_WATCHERS] = []
    app[ERRANDS] = Errands(most=server.max_requests_in_flight, patience_s=server.shutdown_timeout.total_seconds())
    if tracing is not None:
        app[TRACING] = tracing
        app.on_cleanup.append(lambda _app: tracing.close())
    else:
        # Beside the middlewares, not within them; its answers have no spans.
        app[QUICK_LANE] = QuickLane(proxies=proxies, places=places, prefix=server.path_prefix or None)
    app.on_shutdown.append(hurry_errands)
    app.on_response_prepare.extend([mark_started, hand_back_id, answer_headers(cors_origins)])
    app.cleanup_ctx.append(keep_a_database)
    app.cleanup_ctx.append(speak_to_the_hub)
    access.setup(app)
    policy.setup(app)
    audit.setup(app)
    account.setup(app)
    repos.setup(app)
    files.setup(app)
    metadata.setup(app)
    webhooks.setup(app)
    ops.setup(app)
    ui.setup(app)
    xet.setup(app)
    passthrough.setup(app)  # the last feature: it takes what nobody else takes
    neighbours.setup(app)  # after all that watch writes
    app.cleanup_ctx.append(wait_for_errands)  # first to close: they need all the rest
    return app


def start_tracing() -> Tracing:
    """Traces as the `OTEL_` variables say. Raises CannotStart where the extra is not installed."""
    try:
        from hfproxy.tracing import Tracing
    except ModuleNotFoundError as error:
        raise CannotStart(
            f"HFPROXY_OPS__TRACES is on, but {error.name} is missing: install hfproxy with its extra, hfproxy[otel]"
        ) from None
    return Tracing.from_environment()


@asynccontextmanager
async def keep_a_database(app: web.Application) -> AsyncIterator[None]:
    """Opens the database and brings its tables up to date."""
    storage = app[SETTINGS].storage
    url = storage.database.get_secret_value() if storage.database is not None else None
    async with open_database(storage.root, url, patience_s=storage.database_timeout.total_seconds()) as database:
        app[DATABASE] = database
        app[NOTICES] = Notices(database)
        await app[NOTICES].begin()
        yield


@asynccontextmanager
async def speak_to_the_hub(app: web.Application) -> AsyncIterator[None]:
    """Opens the one session to the Hub. Raises BadCertificate."""
    upstream = app[SETTINGS].upstream
    metrics = app[METRICS]
    sightings = app[SIGHTINGS] = HubSightings(upstream.endpoint)
    watching = [watch(metrics, sightings), *([app[TRACING].hub_calls()] if TRACING in app else [])]
    async with session_to(upstream, watching=watching) as session:
        app[HUB] = HubClient(
            upstream.endpoint,
            session,
            answer_timeout=upstream.answer_timeout,
            max_connections=upstream.max_connections,
            count_places=metrics.hub_places_used.inc,
        )
        metrics.hub_places.set(upstream.max_connections)
        yield


@asynccontextmanager
async def wait_for_errands(app: web.Application) -> AsyncIterator[None]:
    """Waits at the end for what goes on without its caller."""
    yield
    await app[ERRANDS].close()


async def hurry_errands(app: web.Application) -> None:
    """Their time runs together with that of the requests which a stop waits for (`on_shutdown`)."""
    app[ERRANDS].hurry()
