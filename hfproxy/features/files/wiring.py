"""Builds what serves files: the store, the pointers, the downloads between Hub and store."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from aiohttp import web

from hfproxy.downstream.at_once import QUICK_LANE
from hfproxy.downstream.expecting import say_continue
from hfproxy.features.access.identify import CALLERS
from hfproxy.features.access.real_names import REAL_NAMES
from hfproxy.features.files.admission import ADMISSION, Admission
from hfproxy.features.files.coming_along import ComingAlong
from hfproxy.features.files.fill import FillPolicy
from hfproxy.features.files.fills import Fills
from hfproxy.features.files.hot import HotFiles
from hfproxy.features.files.keeping import Keeping
from hfproxy.features.files.listed import Listed
from hfproxy.features.files.lookup import Freshness, Lookup
from hfproxy.features.files.memory import BodyMemory
from hfproxy.features.files.paths import FilePaths
from hfproxy.features.files.patience import Patience
from hfproxy.features.files.rights import Rights
from hfproxy.features.files.rights_store import (
    hear_refusals,
    load_rights,
    recall_rights,
    tell_refusals,
    write_rights,
)
from hfproxy.features.files.routes import FILES, HOT, LISTED, RELAY_FILE, answer_file, answer_raw
from hfproxy.features.files.service import FileService
from hfproxy.features.passthrough.routes import relay
from hfproxy.features.passthrough.xet_offers import offers_to_everybody
from hfproxy.features.policy.routes import POLICY
from hfproxy.features.policy.taking import LIMITS
from hfproxy.keys import BLOBS, CHECKS, DATABASE, METRICS, NOTICES, SETTINGS, SIGHTINGS, WRITE_WATCHERS
from hfproxy.storage.blobs import BlobStore
from hfproxy.storage.old_names import Bounds, old_names_forgotten
from hfproxy.storage.pins import Pins
from hfproxy.storage.pointers import kept_pointers
from hfproxy.storage.stores import kept_blobs
from hfproxy.storage.write_behind import written_behind
from hfproxy.upstream.connecting import session_to
from hfproxy.upstream.downloads import HubFiles
from hfproxy.upstream.watching import watch
from hfproxy.writes import Written

_WRITE_EVERY_S = 0.5


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    files, upstream, storage = settings.files, settings.upstream, settings.storage
    async with AsyncExitStack() as stack:
        pins = Pins(app[DATABASE])
        await pins.look()
        blobs = await stack.enter_async_context(
            kept_blobs(
                storage,
                app[DATABASE],
                limit_bytes=int(storage.max_size) if storage.max_size is not None else None,
                floor_bytes=int(storage.free_floor),
                pinned=pins.__contains__,
                shared=settings.server.workers > 1,
            )
        )
        app[BLOBS] = blobs
        app[CHECKS]["files"] = partial(_without_keeping, blobs)
        pointers = await stack.enter_async_context(kept_pointers(app[DATABASE]))
        if not files.offline:  # nothing comes to be known offline, and nothing could be asked again
            bounds = Bounds(
                older_than_s=files.names_for.total_seconds(),
                most_rows=files.max_names,
                most_answer_bytes=int(files.answers_size),
            )
            await stack.enter_async_context(old_names_forgotten(app[DATABASE], bounds))
        await stack.enter_async_context(pins.followed(lambda: pointers.notes))
        session = await stack.enter_async_context(session_to(upstream, watching=[watch(app[METRICS], app[SIGHTINGS])]))
        hub = HubFiles(
            upstream.endpoint,
            session,
            answer_timeout_s=upstream.answer_timeout.total_seconds(),
            stall_timeout_s=files.stall_timeout.total_seconds(),
        )
        stale_s = float("inf") if files.offline else files.stale_for.total_seconds()
        rights = Rights(ttl_s=files.rights_for.total_seconds(), stale_s=stale_s, offline=files.offline)
        await load_rights(app[DATABASE], rights)
        hear_refusals(app[NOTICES], rights)
        patience = Patience()
        fills = Fills(
            hub=hub,
            blobs=blobs,
            policy=FillPolicy(
                connections=files.connections, finish_below_bytes=int(files.finish_below), patience=patience
            ),
            most_connections=files.max_connections,
        )
        stack.push_async_callback(fills.close)
        listed = app[LISTED] = Listed(small_bytes=int(files.small_size))
        memory, keeping = BodyMemory(int(files.memory)), Keeping(blobs)
        along = ComingAlong(hub=hub, listed=listed, memory=memory, blobs=blobs, keeping=keeping)
        service = FileService(
            lookup=Lookup(
                hub=along,
                pointers=pointers,
                rights=rights,
                freshness=Freshness(revision_s=files.fresh_for.total_seconds(), stale_s=stale_s, offline=files.offline),
                recall_rights=partial(recall_rights, app[DATABASE], rights),
            ),
            hub=hub,
            blobs=blobs,
            fills=fills,
            memory=memory,
            keeping=keeping,
            along=along,
            small_bytes=int(files.small_size),
            patience=patience,
            offline=files.offline,
        )
        stack.push_async_callback(service.close)
        app[FILES] = service
        admission = app[ADMISSION] = Admission(real_names=app[REAL_NAMES], policy=app[POLICY], limits=app[LIMITS])
        if QUICK_LANE in app:
            hot = app[HOT] = HotFiles(
                callers=app[CALLERS],
                admission=admission,
                service=service,
                metrics=app[METRICS],
                offers=partial(offers_to_everybody, app),
                xet_mode=settings.xet.mode,
                kept_in_front=files.accel_answers,
            )
            app[QUICK_LANE].answers = (hot,)
        app[WRITE_WATCHERS].append(partial(_forget_what_was_written, service))
        await stack.enter_async_context(
            written_behind(partial(_write_rights, app, rights), every_s=_WRITE_EVERY_S, name="rights")
        )
        yield


async def _without_keeping(blobs: BlobStore) -> str | None:
    """What the gateway does while its store can keep nothing: it serves what is there, and relays the rest."""
    trouble = await blobs.trouble()
    return f"nothing more is kept: {trouble}" if trouble is not None else None


async def _write_rights(app: web.Application, rights: Rights) -> None:
    await write_rights(app[DATABASE], rights)
    await tell_refusals(app[NOTICES], rights)


async def _forget_what_was_written(service: FileService, written: Written) -> None:
    if written.may_have_happened:
        for repo in written.route.repos:
            await service.lookup.forget(repo)


def setup(app: web.Application) -> None:
    app[RELAY_FILE] = relay
    app.cleanup_ctx.append(provide)
    for paths, answer in ((FilePaths(), answer_file), (FilePaths("raw"), answer_raw)):
        app.router.register_resource(paths)
        for method in ("GET", "HEAD"):
            paths.add_route(method, answer, expect_handler=say_continue)
