"""Small files on their way from memory to the store, behind the answers."""

import asyncio
from collections import OrderedDict
from typing import Protocol

import structlog

from hfproxy.storage.blobs import BlobKey, BlobProblem

log = structlog.get_logger(__name__)

_AT_ONCE = 8
_MOST_WAITING_BYTES = 16 * 1024**2


class Puts(Protocol):
    """A `BlobStore`."""

    async def put(self, key: BlobKey, content: bytes) -> None: ...


class Keeping:
    """Puts a few at once. What comes while too much waits is not kept: it was answered, and can be asked for again."""

    def __init__(self, blobs: Puts, *, most_waiting_bytes: int = _MOST_WAITING_BYTES) -> None:
        self._blobs, self._most_bytes = blobs, most_waiting_bytes
        self._waiting: OrderedDict[BlobKey, bytes] = OrderedDict()
        self._waiting_bytes = 0
        self._putting: set[asyncio.Task[None]] = set()
        self._overflows = False  # told once for as long as it lasts

    def add(self, key: BlobKey, content: bytes) -> None:
        """Takes a file that is right to its hash; returns at once."""
        if key in self._waiting:
            return
        if self._waiting_bytes + len(content) > self._most_bytes:
            if not self._overflows:
                log.warning("store.bypassed", blob=str(key), reason="too much waits to be kept", kind="Keeping")
            self._overflows = True
            return
        self._waiting[key] = content
        self._waiting_bytes += len(content)
        if len(self._putting) < _AT_ONCE:
            task = asyncio.create_task(self._put_what_waits(), name="keep small files")
            self._putting.add(task)
            task.add_done_callback(self._putting.discard)

    async def settled(self) -> None:
        """Returns when all that was taken is in the store, or given up."""
        while self._putting:
            await asyncio.gather(*self._putting, return_exceptions=True)

    async def _put_what_waits(self) -> None:
        while self._waiting:
            key, content = self._waiting.popitem(last=False)
            try:
                await self._blobs.put(key, content)
            except BlobProblem as problem:
                log.warning("store.bypassed", blob=str(key), reason=str(problem), kind=type(problem).__name__)
            finally:
                self._waiting_bytes -= len(content)
        self._overflows = False
