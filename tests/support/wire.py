"""Sockets without a library between: what was sent is what arrives, and what arrived is what is seen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Head:
    """A request's or an answer's first line and headers, as they came."""

    line: str
    headers: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])


async def read_head(reader: asyncio.StreamReader) -> Head:
    """The next head on a connection. Raises IncompleteReadError at its end."""
    raw = await reader.readuntil(b"\r\n\r\n")
    line, *lines = raw.decode("latin-1")[:-4].split("\r\n")
    pairs = (each.partition(":") for each in lines)
    return Head(line, [(name, value.strip()) for name, _, value in pairs])


async def read_chunked(reader: asyncio.StreamReader) -> bytes:
    """A chunked body to its proper end. Raises IncompleteReadError if it has none."""
    body = b""
    while True:
        size = int((await reader.readuntil(b"\r\n"))[:-2], 16)
        body += (await reader.readexactly(size + 2))[:-2]
        if size == 0:
            return body


async def read_body(reader: asyncio.StreamReader, head: Head) -> bytes:
    """The body that belongs to a head."""
    if head.get("Transfer-Encoding") == "chunked":
        return await read_chunked(reader)
    return await reader.readexactly(int(head.get("Content-Length") or 0))


@asynccontextmanager
async def wire_server(talk: Talk) -> AsyncIterator[str]:
    """A server that holds `talk` on each connection; gives its URL. What `talk` raises fails the test."""
    failures: list[BaseException] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception as error:
            failures.append(error)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if failures:
        raise failures[0]


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**20)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def answers(
    head: str, body: bytes = b"", *, heads: list[Head] | None = None, bodies: list[bytes] | None = None
) -> Talk:
    """A talk that gives the same answer to every request, and notes what it was asked.

    head: status and header lines, without `HTTP/1.1 ` and with a newline between them.
    """
    raw = ("HTTP/1.1 " + head.replace("\n", "\r\n") + "\r\n\r\n").encode("latin-1") + body

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await read_head(reader)
            came = await read_body(reader, asked)
            if heads is not None:
                heads.append(asked)
            if bodies is not None:
                bodies.append(came)
            writer.write(raw)
            await writer.drain()

    return talk
