"""A load generator in Python for machines without `wrk`: reads one load as JSON, prints what it came to."""

import asyncio
import json
import re
import sys
import time
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from tests.bench.loads import Load

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One kept connection that asks again as soon as it is answered."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._got = bytearray()
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._ask()

    def _ask(self) -> None:
        if time.perf_counter() >= self._run.end:
            self._transport.abort()
            return
        self._asked_at = time.perf_counter()
        self._transport.write(self._run.next_request())

    def data_received(self, data: bytes) -> None:
        self._got += data
        head_end = self._got.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = None if self._run.heads_only else _LENGTH.search(self._got, 0, head_end + 2)
        whole = head_end + 4 + (int(length[1]) if length else 0)
        if len(self._got) < whole:
            return
        self._run.answered(time.perf_counter() - self._asked_at, ok=self._got[9:10] in b"23")
        del self._got[:whole]
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self._run.end:
            self._run.failed += 1
        if not self.closed.done():
            self.closed.set_result(None)


class Run:
    """All connections' requests and answers."""

    def __init__(self, request: bytes, tag: str, seconds: float) -> None:
        self._request, self._tag = request, tag.encode()
        self.heads_only = request.startswith(b"HEAD ")
        self.took_s: list[float] = []
        self.failed = 0
        self._asked = 0
        self.begun = time.perf_counter()
        self.end = self.begun + seconds

    def next_request(self) -> bytes:
        self._asked += 1
        return self._request.replace(b"UNIQUE", self._tag + b"%06d" % self._asked)

    def answered(self, took_s: float, *, ok: bool) -> None:
        self.took_s.append(took_s)
        self.failed += not ok


async def _main(given: dict[str, Any]) -> None:
    url = urlsplit(given.pop("url"))
    connections, seconds, tag = given.pop("connections"), given.pop("seconds"), given.pop("tag")
    load = Load(**{**given, "headers": tuple(map(tuple, given["headers"]))})
    run = Run(load.request(url.netloc), tag, seconds)
    loop = asyncio.get_running_loop()
    opened = await asyncio.gather(
        *(loop.create_connection(lambda: Connection(run), url.hostname, url.port) for _ in range(connections))
    )
    await asyncio.wait([protocol.closed for _, protocol in opened], timeout=seconds + 30)
    took = sorted(run.took_s) or [0.0]
    fired = {
        "requests": len(run.took_s),
        "seconds": time.perf_counter() - run.begun,
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[int(len(took) * 0.99)] * 1e3,
        "failed": run.failed,
    }
    json.dump(fired, sys.stdout)


if __name__ == "__main__":
    uvloop.run(_main(json.load(sys.stdin)))
