"""Writing to a blob while more arrives: neither the disk nor the network waits for the other."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Sink(Protocol):
    """What is written to: a `PartialBlob`."""

    async def write(self, start: int, content: bytes) -> None: ...


class WriteBehind:
    """Writes what it is given, in order, in as few calls as the blob is slow.

    What comes alone is written at once; what comes meanwhile waits, up to about `limit_bytes`, and goes in one piece as
    soon as that is done, whether more follows or not.
    """

    def __init__(self, blob: Sink, position: int, *, limit_bytes: int, written: Callable[[int], None]) -> None:
        self._blob, self._position, self._limit, self._written = blob, position, limit_bytes, written
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._room = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def add(self, content: bytes) -> None:
        """Takes the next bytes; returns when it may take more. Raises BlobProblem, also for bytes before these."""
        self._waiting.append(content)
        self._waiting_bytes += len(content)
        if self._writing is None or self._writing.done():
            if self._writing is not None:
                self._writing.result()
            self._writing = asyncio.create_task(self._write())
        elif self._waiting_bytes >= self._limit:
            self._room.clear()
            await self._room.wait()

    async def drain(self) -> None:
        """Returns when all is written. Raises BlobProblem."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            self._writing.result()

    async def stop(self) -> None:
        """Ends it: what is being written still gets there, the rest does not."""
        self._waiting.clear()
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self) -> None:
        try:
            while self._waiting:
                content = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
                self._waiting, self._waiting_bytes = [], 0
                self._room.set()
                await self._blob.write(self._position, content)
                self._position += len(content)
                self._written(len(content))
        finally:
            self._room.set()
