"""A gateway killed while it fills several files finds at its next start what it had, and serves every file right."""

import asyncio
import hashlib
import os
import random
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from tests.support.file_hub import FileHub
from tests.support.serving import Serving, serving

MIB = 1024**2
SIZE = 12 * MIB + 777


@asynccontextmanager
async def before(hub: FileHub, root: Path) -> AsyncIterator[tuple[Serving, aiohttp.ClientSession]]:
    async with serving(root, HF_ENDPOINT=hub.url, HF_TOKEN="hf_gateway") as gateway, aiohttp.ClientSession() as http:
        yield gateway, http


class Readers:
    """One for each file; `got` is what has arrived."""

    def __init__(self, gateway: Serving, http: aiohttp.ClientSession, paths: Iterable[str]) -> None:
        self.got = {path: bytearray() for path in paths}
        self._gateway, self._http, self._news = gateway, http, asyncio.Event()
        self._tasks = [asyncio.create_task(self._read(path)) for path in self.got]

    async def have(self, size_bytes: int) -> None:
        """Returns once they have so much together."""
        while sum(map(len, self.got.values())) < size_bytes:
            self._news.clear()
            await self._news.wait()

    async def ended(self) -> None:
        await asyncio.gather(*self._tasks)

    async def _read(self, path: str) -> None:
        with suppress(aiohttp.ClientError, OSError):  # the gateway was killed
            async with self._http.get(f"{self._gateway.url}/acme/demo/resolve/main/{path}") as answer:
                async for chunk in answer.content.iter_any():
                    self.got[path] += chunk
                    self._news.set()


async def test_after_each_kill_no_byte_is_wrong_and_what_readers_had_is_not_fetched_again(
    hub: FileHub, tmp_path: Path
) -> None:
    files = {f"w{number}.bin": os.urandom(SIZE) for number in range(3)}
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    for path, content in files.items():
        hub.add(path, content)
    points = sorted(random.Random().sample(range(MIB, 3 * SIZE - 2 * MIB), 3))
    had = dict.fromkeys(files, 0)

    def not_again() -> None:
        """Of what a reader had before, nothing but the block in hand was asked for."""
        for request in hub.asked:
            if request.method == "GET" and request.path.startswith("/cdn/"):
                path = next(path for path, digest in digests.items() if request.path.endswith(digest))
                assert (request.http_range.start or 0) >= had[path] // MIB * MIB - MIB, (points, path, had[path])

    for point in points:
        hub.asked.clear()
        async with before(hub, tmp_path) as (gateway, http):
            readers = Readers(gateway, http, files)
            await readers.have(point)
            await gateway.end(signal.SIGKILL)
            await readers.ended()
        not_again()
        for path, content in readers.got.items():
            assert content == files[path][: len(content)]
            had[path] = max(had[path], len(content))
    hub.asked.clear()
    async with before(hub, tmp_path) as (gateway, http):
        readers = Readers(gateway, http, files)
        await readers.ended()
        assert readers.got == files
        not_again()
        assert "Traceback" not in gateway.printed()
