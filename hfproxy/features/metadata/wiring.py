"""Builds what keeps answers about repositories; set up before the relay, which takes what is not kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from hfproxy.features.access.real_names import REAL_NAMES
from hfproxy.features.files.routes import FILES
from hfproxy.features.metadata.names import KeptNames
from hfproxy.features.metadata.routes import METADATA, MetadataPaths, answering
from hfproxy.features.metadata.service import MetadataService
from hfproxy.features.metadata.store import AnswerStore
from hfproxy.features.passthrough.client_body import expect_later
from hfproxy.features.passthrough.routes import RELAY, relay
from hfproxy.keys import DATABASE, SETTINGS, WRITE_WATCHERS
from hfproxy.writes import Written


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    files = app[SETTINGS].files
    store = AnswerStore(app[DATABASE])
    stale_s = float("inf") if files.offline else files.stale_for.total_seconds()
    service = app[METADATA] = MetadataService(
        store=store,
        fresh_s=min(files.fresh_for, files.rights_for).total_seconds(),
        stale_s=stale_s,
        offline=files.offline,
        refused=app[FILES].lookup.refuse,
    )
    app[FILES].lookup.on_refused = service.refuse
    app[REAL_NAMES].kept = KeptNames(store, stale_s=stale_s, offline=files.offline)
    app[WRITE_WATCHERS].append(partial(_forget_what_was_written, service))
    yield


async def _forget_what_was_written(service: MetadataService, written: Written) -> None:
    if written.may_have_happened:
        for repo in written.route.named:
            await service.forget(repo)


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
    paths = MetadataPaths()
    app.router.register_resource(paths)
    handler = answering(lambda request: request.app[RELAY], relay)
    for method in ("GET", "POST"):
        paths.add_route(method, handler, expect_handler=expect_later)
