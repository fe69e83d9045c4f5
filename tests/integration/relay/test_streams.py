"""Bodies move as they come, stop when the reader stops, and break where they broke."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.gateway import gateway_for
from tests.support.wire import Head, answers, read_body, read_chunked, read_head, wire, wire_server

MIB = 2**20


async def test_the_first_bytes_of_an_answer_arrive_before_its_last_are_sent(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await go_on.wait()
        go_on.clear()
        writer.write(b"9\r\ndata: 1\n\n\r\n")
        await go_on.wait()
        writer.write(b"0\r\n\r\n")

    async with (
        wire_server(events) as hub,
        gateway_for(hub, tmp_path) as gateway,
        asyncio.timeout(30),
        gateway.http.get(f"{gateway.url}/api/spaces/a/b/logs/run") as response,
    ):
        assert response.status == 200  # before any event
        go_on.set()
        assert await response.content.readany() == b"data: 1\n\n"
        go_on.set()
        assert await response.content.read() == b""


async def test_a_hub_that_does_not_read_stops_the_sender(tmp_path: Path) -> None:
    read_on = asyncio.Event()
    size = 64 * MIB

    async def lazy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        await read_on.wait()
        body = await read_body(reader, head)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(str(len(body)))}\r\n\r\n{len(body)}".encode())

    async with (
        wire_server(lazy) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        writer.write(f"PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode())
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < size:
                writer.write(bytes(MIB))
                sent += MIB
                async with asyncio.timeout(1):
                    await writer.drain()
        assert sent < 32 * MIB  # what the sockets and two buffers hold
        read_on.set()
        writer.write(bytes(size - sent))
        async with asyncio.timeout(60):
            await writer.drain()
            head = await read_head(reader)
            assert await read_body(reader, head) == str(size).encode()


async def test_a_caller_who_does_not_read_stops_the_hub(tmp_path: Path) -> None:
    sent = 0
    stuck = asyncio.Event()

    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_head(reader)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {256 * MIB}\r\n\r\n".encode())
        while True:
            writer.write(bytes(MIB))
            sent += MIB
            try:
                async with asyncio.timeout(1):
                    await writer.drain()
            except TimeoutError:
                stuck.set()
                return

    async with (
        wire_server(eager) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (_reader, writer),
        asyncio.timeout(60),
    ):
        writer.write(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await stuck.wait()
    assert sent < 48 * MIB


async def test_a_caller_who_goes_away_ends_the_upload(tmp_path: Path) -> None:
    came = asyncio.Event()
    ended = asyncio.Event()

    async def watching(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(5)
        came.set()
        try:
            await reader.readexactly(1)
        except (ConnectionError, asyncio.IncompleteReadError):
            ended.set()

    async with wire_server(watching) as hub, gateway_for(hub, tmp_path) as gateway, asyncio.timeout(30):
        async with wire(gateway.url) as (_reader, writer):
            writer.write(b"PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhello")
            await came.wait()
        await ended.wait()


async def test_a_caller_who_goes_away_ends_the_download(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello")
        assert await reader.read() == b""
        ended.set()

    async with wire_server(endless) as hub, gateway_for(hub, tmp_path) as gateway, asyncio.timeout(30):
        async with wire(gateway.url) as (reader, writer):
            writer.write(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await read_head(reader)
        await ended.wait()


@pytest.mark.parametrize(
    "said", ["Content-Length: 100000\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
)
async def test_an_answer_that_breaks_off_breaks_off_for_the_caller_too(said: str, tmp_path: Path) -> None:
    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(f"HTTP/1.1 200 OK\r\n{said}".encode())

    async with (
        wire_server(breaking) as hub,
        gateway_for(hub, tmp_path) as gateway,
        gateway.http.get(f"{gateway.url}/x") as response,
    ):
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
            await response.read()


async def test_a_small_answer_that_breaks_off_is_told_as_an_error(tmp_path: Path) -> None:
    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")

    async with (
        wire_server(breaking) as hub,
        gateway_for(hub, tmp_path) as gateway,
        gateway.http.get(f"{gateway.url}/x") as response,
    ):
        assert (response.status, response.headers["X-Error-Code"]) == (502, "HubBroke")


@pytest.mark.parametrize("reading_hub", [True, False])
async def test_a_caller_who_waits_for_100_hears_it_when_the_body_is_wanted(reading_hub: bool, tmp_path: Path) -> None:
    bodies: list[bytes] = []
    access = "admin" if reading_hub else "reader"
    async with (
        wire_server(answers("201 Created\nContent-Length: 0", bodies=bodies)) as hub,
        gateway_for(hub, tmp_path, ACCESS__ANONYMOUS=access) as gateway,
        wire(gateway.url) as (reader, writer),
        asyncio.timeout(30),
    ):
        writer.write(b"PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        first = await read_head(reader)
        if reading_hub:
            assert first.line == "HTTP/1.1 100 Continue"
            writer.write(b"hello")
            first = await read_head(reader)
        assert first.status == (201 if reading_hub else 403)
    assert bodies == ([b"hello"] if reading_hub else [])


async def test_a_hub_that_stands_still_is_left_in_the_end(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        wire_server(silent) as hub,
        gateway_for(hub, tmp_path, UPSTREAM__IDLE_TIMEOUT="300ms") as gateway,
        gateway.http.get(f"{gateway.url}/x") as response,
    ):
        assert (response.status, response.headers["X-Error-Code"]) == (504, "HubSlow")


async def test_a_caller_who_stands_still_is_told_so(tmp_path: Path) -> None:
    async def patient(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        wire_server(patient) as hub,
        gateway_for(hub, tmp_path, UPSTREAM__IDLE_TIMEOUT="300ms") as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        writer.write(b"PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhello")
        assert (await read_head(reader)).status == 408


async def test_what_moves_may_take_longer_than_the_idle_limit(tmp_path: Path) -> None:
    ticks = 8

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(ticks):
            await asyncio.sleep(0.3)
            writer.write(b"1\r\n.\r\n")
        writer.write(b"0\r\n\r\n")

    async with (
        wire_server(slow) as hub,
        gateway_for(hub, tmp_path, UPSTREAM__IDLE_TIMEOUT="2s") as gateway,
        gateway.http.get(f"{gateway.url}/x") as response,
    ):
        assert await response.read() == b"." * ticks


async def test_a_chunked_upload_of_nonsense_is_the_callers_fault(tmp_path: Path) -> None:
    async def reading(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await read_chunked(reader)

    async with (
        wire_server(reading) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
        asyncio.timeout(30),
    ):
        writer.write(
            b"PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\nnonsense\r\n"
        )
        assert (await read_head(reader)).status == 400


async def test_a_write_is_not_sent_again_when_a_kept_connection_breaks(tmp_path: Path) -> None:
    asked: list[Head] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_head(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        asked.append(await read_head(reader))  # and goes away

    async with (
        wire_server(once) as hub,
        gateway_for(hub, tmp_path) as gateway,
        gateway.http.get(f"{gateway.url}/x") as response,
    ):
        assert response.status == 200
        async with gateway.http.delete(f"{gateway.url}/x") as response:
            assert (response.status, response.headers["X-Error-Code"]) == (502, "HubBroke")
        async with gateway.http.get(f"{gateway.url}/x") as response:
            assert response.status == 200
    assert [head.line.split()[0] for head in asked] == ["GET", "DELETE", "GET"]


@asynccontextmanager
async def echoing_hub() -> AsyncIterator[str]:
    """A Hub with a WebSocket that says everything back, `bye` by closing with 4321."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        assert request.headers["Authorization"] == "Bearer hf_gateway_token_of_the_tests"
        socket = web.WebSocketResponse(protocols=["v2"])
        await socket.prepare(request)
        async for message in socket:
            if message.data == "bye":
                await socket.close(code=4321)
            elif message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
        return socket

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=403, headers={"X-Error-Message": "not you"})

    app = web.Application()
    app.router.add_get("/ws", echo)
    app.router.add_get("/no", refuse)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def test_a_websocket_passes_both_ways_and_its_end_too(tmp_path: Path) -> None:
    async with echoing_hub() as hub, gateway_for(hub, tmp_path) as gateway, asyncio.timeout(30):
        async with gateway.http.ws_connect(f"{gateway.url}/ws", protocols=["v1", "v2"]) as socket:
            assert socket.protocol == "v2"
            await socket.send_str("é")
            assert await socket.receive_str() == "é"
            await socket.send_bytes(b"\x00" * 100_000)
            assert await socket.receive_bytes() == b"\x00" * 100_000
            await socket.send_str("bye")
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 4321
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await gateway.http.ws_connect(f"{gateway.url}/no")
        assert refused.value.status == 403
