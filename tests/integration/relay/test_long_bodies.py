"""Long bodies go past aiohttp's parser: over TLS too, at the reader's pace, and with the same errors."""

import asyncio
import hashlib
import os
from asyncio import StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hfproxy.errors import HubBroke, HubSlow
from hfproxy.upstream.connecting import hub_session
from hfproxy.upstream.credentials import NOBODY
from hfproxy.upstream.downloads import FileBody, HubFiles, Way
from hfproxy.upstream.refs import FileRef
from hfproxy.upstream.shares import Crowd, Share
from tests.support.certificates import Authority
from tests.support.scripted_hub import Asked, Reply, hangs, resets, scripted_hub, writes

pytestmark = pytest.mark.on_both_loops

MIB = 1024**2
SIZE = 64 * MIB + 4321
UNIT = MIB // 2
Open = Callable[..., AbstractAsyncContextManager[FileBody]]


class Sender:
    """Sends a long body until `stop`, and then does what it is told; knows how much it sent."""

    def __init__(self, content: bytes) -> None:
        self.content, self.stop = content, SIZE
        self.then: Reply | None = None
        self.sent = self.connections = 0
        self.silence: asyncio.Event | None = None
        """What the first to ask waits for after a few bytes."""
        self.over = asyncio.Event()

    async def __call__(self, asked: Asked, writer: StreamWriter) -> None:
        try:
            await self.send(asked, writer)
        finally:
            self.over.set()

    async def send(self, asked: Asked, writer: StreamWriter) -> None:
        writer.write(f'HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nETag: "e"\r\n\r\n'.encode())
        begun = 0
        if (silence := self.silence) is not None and not self.connections:
            self.connections, begun = 1, 1000
            writer.write(self.content[:begun])
            await silence.wait()
        for start in range(begun, self.stop, MIB):
            writer.write(self.content[start : min(start + MIB, self.stop)])
            await writer.drain()
            self.sent = start
        if self.then is not None:
            await self.then(asked, writer)


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def sender(content: bytes) -> Sender:
    return Sender(content)


@pytest.fixture(params=[None, 1], ids=["alone", "in a crowd"])
def share(request: pytest.FixtureRequest) -> Share:
    """What a body may hold; in a crowd, while it is its turn."""
    return Share(UNIT, Crowd(turns=request.param, unit_bytes=UNIT) if request.param else None)


@pytest.fixture(params=["plain", "tls"])
def opened(request: pytest.FixtureRequest, sender: Sender, share: Share, tmp_path: Path) -> Open:
    """Opens the body of the sender, in the clear and over TLS."""
    authority = Authority(tmp_path) if request.param == "tls" else None

    @asynccontextmanager
    async def opened(*, stall_timeout_s: float = 30) -> AsyncIterator[FileBody]:
        server, client = (authority.server_context(), authority.client_context()) if authority else (None, None)
        async with (
            scripted_hub(sender, tls=server) as hub,
            hub_session(connect_timeout=timedelta(seconds=5), tls=client) as session,
        ):
            files = HubFiles(hub.url, session, answer_timeout_s=30, stall_timeout_s=stall_timeout_s)
            way = Way(FileRef.parse("/acme/demo/resolve/main/w.bin"), NOBODY)
            async with files.open(way, 0, SIZE, size_bytes=SIZE, etag="e", share=share) as body:
                yield body
            await asyncio.wait_for(sender.over.wait(), 30)

    return opened


async def test_it_comes_whole_in_memory_that_is_used_again(opened: Open, content: bytes) -> None:
    whole, places = hashlib.sha256(), set()
    async with opened() as body:
        async for chunk in body.chunks():
            whole.update(chunk)
            if isinstance(chunk, memoryview):
                places.add(id(chunk.obj))
            del chunk
    assert whole.hexdigest() == hashlib.sha256(content).hexdigest()
    assert 1 <= len(places) <= 4


async def test_what_comes_after_the_end_is_not_part_of_it(opened: Open, sender: Sender, content: bytes) -> None:
    sender.then = writes(b"HTTP/1.1 200 OK\r\n\r\nand more")
    whole = hashlib.sha256()
    async with opened() as body:
        async for chunk in body.chunks():
            whole.update(chunk)
    assert whole.hexdigest() == hashlib.sha256(content).hexdigest()


async def test_memory_that_somebody_looks_at_stays_as_it_is(opened: Open, content: bytes) -> None:
    async with opened() as body:
        kept = [chunk async for chunk in body.chunks()]
    assert hashlib.sha256(b"".join(kept)).hexdigest() == hashlib.sha256(content).hexdigest()


async def test_a_reader_who_waits_lets_the_sender_wait(opened: Open, sender: Sender, content: bytes) -> None:
    whole = hashlib.sha256()
    async with opened() as body, aclosing(body.chunks()) as chunks:
        whole.update(await anext(chunks))
        before = -1
        while before < sender.sent:  # until nothing more is taken
            before = sender.sent
            await asyncio.sleep(0.1)
        assert sender.sent < SIZE // 2  # far more than the sockets hold
        async for chunk in chunks:
            whole.update(chunk)
    assert whole.hexdigest() == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("how", ["closed", "reset", "silent"])
async def test_an_early_end_is_told_after_what_came_before_it(
    opened: Open, sender: Sender, content: bytes, how: str
) -> None:
    sender.stop = 20 * MIB + 99
    sender.then = {"closed": None, "reset": resets, "silent": hangs}[how]
    got = 0
    with pytest.raises(HubSlow if how == "silent" else HubBroke):
        async with opened(stall_timeout_s=0.5) as body:
            async for chunk in body.chunks():
                assert bytes(chunk) == content[got : got + len(chunk)]
                got += len(chunk)
    # A reset throws away what the system had not handed over.
    assert got == sender.stop or (how == "reset" and got < sender.stop)


async def test_who_goes_away_ends_the_connection(opened: Open, sender: Sender) -> None:
    async with opened() as body, aclosing(body.chunks()) as chunks:
        assert await anext(chunks)
    assert sender.sent < SIZE // 2


async def test_who_has_nothing_to_receive_keeps_nobody_from_a_turn(
    opened: Open, sender: Sender, content: bytes
) -> None:
    """One says a few bytes, and then nothing for as long as the other sends."""
    sender.silence = asyncio.Event()
    slow, quick = hashlib.sha256(), hashlib.sha256()
    async with opened() as first, asyncio.TaskGroup() as tasks:
        tasks.create_task(_read(first, slow))
        async with opened() as second:
            await _read(second, quick)
        sender.silence.set()
    assert slow.hexdigest() == quick.hexdigest() == hashlib.sha256(content).hexdigest()


async def _read(body: FileBody, digest: "hashlib._Hash") -> None:
    async for chunk in body.chunks():
        digest.update(chunk)
