"""A line to a server that can be cut or fall silent: a server that stops or hangs, to those it serves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.waiting import free_port


class CutLine:
    """Passes on what comes to `port`; cut, it refuses connections, and silent, it passes nothing."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self.port = free_port()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._speaks = asyncio.Event()
        self._speaks.set()

    def fall_silent(self) -> None:
        """Takes connections and bytes, and keeps them to itself."""
        self._speaks.clear()

    def speak(self) -> None:
        """Passes on again, what was kept first."""
        self._speaks.set()

    async def mend(self) -> None:
        """Listens, on the same port each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Breaks what is connected, and refuses more."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        ends = {writer, far_writer}
        self._writers |= ends
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= ends

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(64 * 1024):
                await self._speaks.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def cut_line(target_port: int) -> AsyncIterator[CutLine]:
    """A whole one."""
    line = CutLine(target_port)
    await line.mend()
    try:
        yield line
    finally:
        line.speak()
        await line.cut()
