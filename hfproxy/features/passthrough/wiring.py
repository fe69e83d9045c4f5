"""Builds the relay; its route takes whatever no other feature takes, so this is set up last."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from hfproxy.features.access.accounts import HubAccounts
from hfproxy.features.access.real_names import REAL_NAMES
from hfproxy.features.audit.routes import AUDIT
from hfproxy.features.passthrough.client_body import expect_later
from hfproxy.features.passthrough.routes import OUR_PATHS, RELAY, TICKETS, XET_TOKENS, leave_untyped, relay, use_ticket
from hfproxy.features.passthrough.service import TICKET_PATH, RelayService
from hfproxy.features.passthrough.tickets import TicketOffice
from hfproxy.features.passthrough.xet_tokens import XetTokens
from hfproxy.keys import DATABASE, HUB, SETTINGS, WRITE_WATCHERS
from hfproxy.storage.secret import shared_key
from hfproxy.upstream.xet import XetMode


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    app[TICKETS] = TicketOffice(await shared_key(app[DATABASE], app[SETTINGS].storage.root, "lfs tickets"))
    app[XET_TOKENS] = XetTokens(await shared_key(app[DATABASE], app[SETTINGS].storage.root, "xet tokens"))
    watchers = app[WRITE_WATCHERS]
    app[RELAY] = RelayService(
        hub=app[HUB],
        tickets=app[TICKETS],
        trail=app[AUDIT],
        names=app[REAL_NAMES],
        accounts=HubAccounts(hub=app[HUB]),
        watchers=watchers,
        xet_mode=XetMode(app[SETTINGS].xet.mode),
        xet_tokens=app[XET_TOKENS],
    )
    yield


def setup(app: web.Application) -> None:
    app[OUR_PATHS] = _our_paths(app)
    app.cleanup_ctx.append(provide)
    app.on_response_prepare.append(leave_untyped)
    app.router.add_route("*", TICKET_PATH + "{ticket}", use_ticket, expect_handler=expect_later)
    app.router.add_route("*", "/{path:(?s:.*)}", relay, expect_handler=expect_later)


def _our_paths(app: web.Application) -> Mapping[str, frozenset[str]]:
    """The fixed paths of the features set up so far, and the methods they take."""
    paths: dict[str, frozenset[str]] = {}
    for resource in app.router.resources():
        if isinstance(resource, web.PlainResource):
            methods = frozenset(route.method for route in resource)
            paths[resource.canonical] = paths.get(resource.canonical, frozenset()) | methods
    return paths
