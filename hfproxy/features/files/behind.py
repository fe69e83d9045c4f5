"""Writing to a blob while more arrives: neither the disk nor the network waits for the other."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from hfproxy.upstream.shares import Share

# What arrives in one turn of the event loop is handed over by its receiver in the next.
_TURNS = 2
_GATHER_S = 0.005


class Sink(Protocol):
    """What is written to: a `PartialBlob`."""

    async def write(self, start: int, *pieces: bytes | memoryview) -> None: ...


class WriteBehind:
    """Writes what it is given, in order, in few calls: each costs two threads as much as a hundred KiB do.

    What comes is written once nothing more comes with it, or there is a unit, or after a moment. What comes meanwhile
    waits, up to about twice that, and goes next; in a crowd nothing comes meanwhile.
    """

    def __init__(self, blob: Sink, position: int, *, share: Share, written: Callable[[int], None]) -> None:
        self._blob, self._position, self._share, self._written = blob, position, share, written
        self._waiting: list[bytes | memoryview] = []
        self._waiting_bytes = 0
        self._room = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def add(self, content: bytes | memoryview) -> None:
        """Takes the next bytes; returns when it may take more. Raises BlobProblem, also for bytes before these."""
        self._waiting.append(content)
        self._waiting_bytes += len(content)
        if self._writing is None or self._writing.done():
            if self._writing is not None:
                self._writing.result()
            self._writing = asyncio.create_task(self._write())
        if self._share.crowd is not None:
            await self.drain()
        elif self._waiting_bytes >= 2 * self._share.unit_bytes:
            self._room.clear()
            await self._room.wait()

    async def drain(self) -> None:
        """Returns when all is written. Raises BlobProblem."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            self._writing.result()

    async def stop(self) -> None:
        """Ends it: what is being written still gets there, the rest does not."""
        self._waiting, self._waiting_bytes = [], 0
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self) -> None:
        try:
            while await self._gathered():
                pieces, length = self._waiting, self._waiting_bytes
                self._waiting, self._waiting_bytes = [], 0
                self._room.set()
                await self._blob.write(self._position, *pieces)
                del pieces  # their memory is wanted for what comes
                self._position += length
                self._written(length)
        finally:
            self._room.set()

    async def _gathered(self) -> int:
        """How many bytes there are to write, once no more come with them."""
        before, until = 0, monotonic() + _GATHER_S
        while before < self._waiting_bytes < self._share.unit_bytes and monotonic() < until:
            before = self._waiting_bytes
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        return self._waiting_bytes
