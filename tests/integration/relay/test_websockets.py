"""WebSockets through the gateway: how each end is told to the other, and that nothing is listened to for ever."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.gateway import gateway_for

MIB = 2**20
Socket = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def connected(
    root: Path, serve: Callable[[web.Request, web.WebSocketResponse], Awaitable[None]]
) -> AsyncIterator[Socket]:
    """A client's socket, through a gateway, to a Hub whose end is served by `serve`."""

    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        await serve(request, socket)
        return socket

    app = web.Application()
    app.router.add_get("/api/ws", answer)
    async with TestServer(app) as server, asyncio.timeout(60):
        hub = str(server.make_url("")).rstrip("/")
        async with (
            gateway_for(hub, root) as gateway,
            gateway.http.ws_connect(f"{gateway.url}/api/ws", max_msg_size=0) as socket,
        ):
            yield socket


async def test_a_large_message_passes_both_ways(tmp_path: Path) -> None:
    async def echo(_request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(await socket.receive_bytes())

    message = os.urandom(15 * MIB)
    async with connected(tmp_path, echo) as socket:
        await socket.send_bytes(message)
        assert await socket.receive_bytes() == message


async def test_the_hubs_code_and_reason_arrive(tmp_path: Path) -> None:
    async def closes(_request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.close(code=4000, message=b"the Space sleeps")

    async with connected(tmp_path, closes) as socket:
        message = await socket.receive()
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4000, "the Space sleeps")


async def test_the_callers_code_and_reason_arrive(tmp_path: Path) -> None:
    told: asyncio.Queue[aiohttp.WSMessage] = asyncio.Queue()

    async def listens(_request: web.Request, socket: web.WebSocketResponse) -> None:
        await told.put(await socket.receive())

    async with connected(tmp_path, listens) as socket:
        await socket.close(code=4001, message=b"enough")
        message = await told.get()
    assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4001, "enough")


async def test_a_hub_that_breaks_off_is_not_told_as_a_good_end(tmp_path: Path) -> None:
    async def breaks(request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.send_str("half a log")
        await socket.receive()
        assert request.transport is not None
        request.transport.abort()

    async with connected(tmp_path, breaks) as socket:
        assert await socket.receive_str() == "half a log"
        await socket.send_str("go on")
        message = await socket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.BAD_GATEWAY)


async def test_a_hub_that_goes_on_sending_is_left_when_its_caller_has_gone(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def floods(_request: web.Request, socket: web.WebSocketResponse) -> None:
        try:
            while True:
                await socket.send_bytes(bytes(100_000))
        finally:
            left.set()

    async with connected(tmp_path, floods) as socket:
        await socket.receive_bytes()
        socket._response.close()  # as when the caller's machine is switched off
        await left.wait()
