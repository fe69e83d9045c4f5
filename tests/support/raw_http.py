"""A client that sends whatever bytes it is told, and reads the answers as they come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.support.waiting import PATIENCE_S


@dataclass(frozen=True)
class Answer:
    """One whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes


class Connection:
    """One connection, spoken to byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def send(self, raw: bytes) -> None:
        """Sends; a server that has closed already is no reason to stop."""
        try:
            self.writer.write(raw)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def answer(self, *, of_head: bool = False) -> Answer | None:
        """The next answer, None where the connection ends before one. of_head: it has a length but no body."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            status_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            status = int(status_line.split(" ")[1])
            bodiless = of_head or status < 200 or status in {204, 304}
            body = b"" if bodiless else await self._reader.readexactly(int(headers["content-length"]))
            return Answer(status, headers, body, head + body)

    async def ended(self) -> bool:
        """Whether the server closes the connection, without another byte."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._reader.read(1) == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def connection_to(url: str) -> AsyncIterator[Connection]:
    """A new connection to the server at `url`."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=4 * 1024**2)
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()
