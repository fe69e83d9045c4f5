"""Builds what relays Xet; set up before the relay, whose tokens and tickets it uses."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from hfproxy.downstream.expecting import say_continue
from hfproxy.features.files.patience import Patience
from hfproxy.features.passthrough.client_body import expect_later
from hfproxy.features.passthrough.service import CAS_PATH
from hfproxy.features.xet.places import PATH, Places
from hfproxy.features.xet.routes import (
    CAS,
    PLACES,
    XORBS,
    ask_cas,
    hear_telemetry,
    holder_of_place,
    holder_of_telemetry,
    holder_of_token,
    send_xorb,
)
from hfproxy.features.xet.service import CasService, XorbService
from hfproxy.features.xet.store import XorbIndex
from hfproxy.keys import BLOBS, CARRIED, DATABASE, METRICS, SETTINGS, SIGHTINGS
from hfproxy.storage.secret import shared_key
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.connecting import session_to
from hfproxy.upstream.watching import watch
from hfproxy.upstream.xorbs import Xorbs


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    upstream = settings.upstream
    async with AsyncExitStack() as stack:
        # Long transfers take no place from calls to the Hub.
        session = await stack.enter_async_context(session_to(upstream, watching=[watch(app[METRICS], app[SIGHTINGS])]))
        hub = HubClient(
            upstream.endpoint,
            session,
            answer_timeout=upstream.answer_timeout,
            max_connections=upstream.max_connections,
        )
        app[PLACES] = Places(await shared_key(app[DATABASE], settings.storage.root, "xorb places"))
        app[CAS] = CasService(hub=hub)
        app[XORBS] = XorbService(
            xorbs=Xorbs(hub), blobs=app[BLOBS], index=XorbIndex(app[DATABASE]), patience=Patience()
        )
        stack.push_async_callback(app[XORBS].close)
        yield


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
    app.router.add_route("*", CAS_PATH + "/{call:.+}", ask_cas, expect_handler=expect_later)
    app.router.add_get(PATH + "{place}", send_xorb, allow_head=False, expect_handler=say_continue)
    app.router.add_post("/v1/telemetry", hear_telemetry, expect_handler=say_continue)
    app[CARRIED][ask_cas] = holder_of_token
    app[CARRIED][send_xorb] = holder_of_place
    app[CARRIED][hear_telemetry] = holder_of_telemetry
