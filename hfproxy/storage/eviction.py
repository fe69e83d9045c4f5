"""Room for blobs: set aside before it is written, made by forgetting what was used least recently."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from hfproxy.storage.blobs import BlobBusy, BlobInfo, BlobKey, StorageFull

log = structlog.get_logger(__name__)


_AHEAD = timedelta(minutes=1)


def least_recently_used_first(found: Iterable[BlobInfo]) -> list[BlobInfo]:
    """In the order in which they may go.

    What was used in the future was noted by a clock that was wrong: nobody used it since, or it would say when.
    """
    latest = datetime.now(UTC) + _AHEAD
    return sorted(found, key=lambda info: (info.used_at <= latest, info.used_at))


def nothing_pinned(_key: BlobKey) -> bool:
    """Whether eviction must pass a blob by: never."""
    return False


class Space:
    """The room of one store: who takes how much of it, and in which order they go when it runs out.

    Two bounds: `limit_bytes` on what the blobs take together, and `floor_bytes` that stay free on the medium whoever
    fills it. Pinned blobs and those being written are never evicted; what is being read may be, its readers hold it
    open.
    """

    def __init__(
        self,
        *,
        limit_bytes: int | None,
        floor_bytes: int,
        free_bytes: Callable[[], int | None],
        pinned: Callable[[BlobKey], bool] = nothing_pinned,
    ) -> None:
        self._limit, self._floor, self._free = limit_bytes, floor_bytes, free_bytes
        self.pinned = pinned
        self._idle: OrderedDict[BlobKey, int] = OrderedDict()  # least recently used first
        self._busy: dict[BlobKey, int] = {}
        self._used = 0
        self._unwritten = 0  # reserved, but not taken from the medium yet
        self._turn = asyncio.Lock()

    def used(self) -> int:
        """Bytes that all blobs take, with what is reserved for those on their way."""
        return self._used

    def begin_with(self, blobs: Iterable[tuple[BlobKey, int]]) -> None:
        """Takes in what is there at the start, least recently used first."""
        for key, size_bytes in blobs:
            self.settle(key, size_bytes)

    def agree_with(self, found: Mapping[BlobKey, int]) -> None:
        """Takes in what is there now, where other processes keep and delete blobs too; what is new was used last."""
        for key in [key for key in self._idle if key not in found]:
            self.forget(key)
        for key, size_bytes in found.items():
            known = self._idle.get(key)
            if known is None and key not in self._busy:
                self.settle(key, size_bytes)
            elif known is not None and known != size_bytes:
                self._idle[key] = size_bytes
                self._used += size_bytes - known

    def touch(self, key: BlobKey) -> None:
        """Makes a blob the most recently used."""
        if key in self._idle:
            self._idle.move_to_end(key)

    def settle(self, key: BlobKey, size_bytes: int) -> None:
        """Notes that nobody writes a blob any more, and what it takes."""
        self.forget(key)
        self._idle[key] = size_bytes
        self._used += size_bytes

    def occupy(self, key: BlobKey) -> None:
        """Notes that a blob is being written: it is not evicted until it settles."""
        self._busy[key] = self._idle.pop(key, self._busy.get(key, 0))

    def forget(self, key: BlobKey) -> None:
        """Notes that a blob is gone."""
        self._used -= self._idle.pop(key, 0) + self._busy.pop(key, 0)

    async def reserve(self, key: BlobKey, size_bytes: int, *, delete: Callable[[BlobKey], Awaitable[object]]) -> None:
        """Sets room aside for a blob being written, evicting what must go. Raises StorageFull and takes nothing."""
        async with self._turn:
            await self._make_room(size_bytes, delete)
            self._busy[key] = self._busy.get(key, 0) + size_bytes
            self._used += size_bytes
            self._unwritten += size_bytes

    def written(self, size_bytes: int) -> None:
        """Notes that reserved bytes now lie on the medium, or never will."""
        self._unwritten -= size_bytes

    def lacking(self, size_bytes: int) -> int:
        """How many bytes must go before `size_bytes` more may come; 0 or less: none."""
        over = self._used + size_bytes - self._limit if self._limit is not None else 0
        free = self._free()
        below = size_bytes + self._unwritten + self._floor - free if free is not None else 0
        return max(over, below)

    async def _make_room(self, size_bytes: int, delete: Callable[[BlobKey], Awaitable[object]]) -> None:
        lacking = self.lacking(size_bytes)
        if lacking <= 0:
            return
        victims: list[BlobKey] = []
        found = 0
        for key, size in self._idle.items():
            if found >= lacking:
                break
            if not self.pinned(key):
                victims.append(key)
                found += size
        if found < lacking:
            # Nothing is evicted in vain: what fits nowhere costs nobody their blobs.
            raise StorageFull(f"{size_bytes} bytes do not fit: {lacking} too many, {found} could go")
        for key in victims:
            size = self._idle.get(key, 0)
            try:
                await delete(key)
            except BlobBusy:
                continue
            log.info("blob.evicted", blob=str(key), size_bytes=size)
        if self.lacking(size_bytes) > 0:
            raise StorageFull(f"{size_bytes} bytes do not fit: what was evicted gave no room yet")
