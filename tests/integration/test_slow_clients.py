"""Clients that take their time: who sends a little now and then holds a connection for so long and no longer."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest

from tests.support.file_hub import file_hub
from tests.support.gateway import Gateway, gateway_for
from tests.support.raw_http import Connection, connection_to
from tests.support.scripted_hub import says, scripted_hub
from tests.support.serving import serving
from tests.support.waiting import eventually

LIMIT_S = 1
# Far from the limit, and far from aiohttp's own of an hour; a full machine must not fail the test.
SOON_S = 60


@asynccontextmanager
async def impatient(root: Path) -> AsyncIterator[Gateway]:
    limit = f"{LIMIT_S}s"
    async with (
        scripted_hub(says(200, b'{"name": "alice"}')) as hub,
        gateway_for(hub.url, root, SERVER__BODY_TIMEOUT=limit, SERVER__KEEPALIVE_TIMEOUT=limit) as gateway,
    ):
        yield gateway


async def dribble(connection: Connection, piece: bytes) -> None:
    """Sends the piece again and again."""
    while True:
        await connection.send(piece)
        await asyncio.sleep(LIMIT_S / 10)


@pytest.mark.parametrize(
    "head", [b"", b"GET /api/account HTTP/1.1\r\n", b"GET /api/account HTTP/1.1\r\nHost: localhost\r\n"]
)
async def test_a_head_that_never_ends_is_not_waited_for(head: bytes, tmp_path: Path) -> None:
    async with impatient(tmp_path) as gateway:
        begun = monotonic()  # before it counts, which is from the connection's first moment
        async with connection_to(gateway.url) as connection:
            await connection.send(head)
            sending = asyncio.create_task(dribble(connection, b"X-A: b\r\n" if head else b"\r\n"))
            try:
                assert await connection.ended()
            finally:
                sending.cancel()
        assert LIMIT_S * 0.9 <= monotonic() - begun < SOON_S


async def test_an_idle_connection_is_kept_for_so_long_and_closed(tmp_path: Path) -> None:
    async with impatient(tmp_path) as gateway, connection_to(gateway.url) as connection:
        for _ in range(2):
            begun = monotonic()  # it counts from its answer on, which is here a little later than it is sent
            await connection.send(b"GET /api/account HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = await connection.answer()
            assert answer is not None
            assert answer.status == 200
        assert await connection.ended()
        assert LIMIT_S * 0.9 <= monotonic() - begun < SOON_S


@pytest.mark.parametrize(
    ("framing", "piece"), [(b"Content-Length: 1000", b" "), (b"Transfer-Encoding: chunked", b"1\r\n \r\n")]
)
async def test_a_body_that_never_ends_is_told_so(framing: bytes, piece: bytes, tmp_path: Path) -> None:
    async with impatient(tmp_path) as gateway, connection_to(gateway.url) as connection:
        begun = monotonic()
        await connection.send(b"POST /api/repo HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n")
        sending = asyncio.create_task(dribble(connection, piece))
        try:
            answer = await connection.answer()
            assert answer is not None
            assert (answer.status, json.loads(answer.body)["code"]) == (408, "BodyStalled")
            assert LIMIT_S * 0.9 <= monotonic() - begun < SOON_S
            assert await connection.ended()
        finally:
            sending.cancel()


async def test_slow_clients_do_not_keep_others_from_being_answered(tmp_path: Path) -> None:
    async with (
        scripted_hub(says(200, b'{"name": "alice"}')) as hub,
        gateway_for(hub.url, tmp_path) as gateway,
    ):
        slow = [connection_to(gateway.url) for _ in range(200)]
        opened = await asyncio.gather(*(each.__aenter__() for each in slow))
        await asyncio.gather(*(each.send(b"GET /api/account HTTP/1.1\r\n") for each in opened))
        async with gateway.http.get(f"{gateway.url}/api/account") as response:
            assert response.status == 200
        for connection in opened:
            await connection.send(b"Host: localhost\r\n\r\n")
        answers = await asyncio.gather(*(connection.answer() for connection in opened))
        assert {answer.status for answer in answers if answer} == {200}
        assert len([answer for answer in answers if answer]) == len(slow)
        await asyncio.gather(*(each.__aexit__(None, None, None) for each in slow))


@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux ends a connection that is not read from"
)
async def test_who_reads_nothing_of_an_answer_is_cut_off(tmp_path: Path) -> None:
    async with file_hub() as hub:
        hub.add("w.bin", os.urandom(24 * 1024**2))
        limits = {"HFPROXY_SERVER__UNREAD_TIMEOUT": f"{LIMIT_S}s", "HFPROXY_UPSTREAM__IDLE_TIMEOUT": "1h"}
        async with serving(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN="hf_gateway", **limits) as gateway:

            def lines(event: str) -> int:
                return sum(line["event"] == event for line in gateway.events())

            for count in (1, 2):  # while it is being downloaded, and when it is kept
                async with connection_to(gateway.url) as connection:
                    await connection.send(b"GET /acme/demo/resolve/main/w.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    connection.writer.transport.pause_reading()
                    await eventually(lambda: lines("request.finished"), lambda found, count=count: found >= count)
                await eventually(lambda: lines("fill.finished"))
            assert {line["status"] for line in gateway.events() if line["event"] == "request.finished"} == {499}
            assert "Traceback" not in gateway.printed()
