"""Blobs in a bucket that several gateways share: the bytes in its objects, what they are in the database they share.

Nothing is ever overwritten in the bucket (`object_names.py`), and the database alone says what a blob is: so it takes
no locks, no conditional puts and no listings that are right at once, and any server will do that puts, gets and
deletes.
"""

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial

import structlog

from hfproxy.storage.blobs import BlobInfo, BlobKey, BlobStoreBroken, WrongBytes
from hfproxy.storage.block_memory import BlockMemory
from hfproxy.storage.blocks import Blocks
from hfproxy.storage.bucket import Bucket, ObjectGone
from hfproxy.storage.catalog import LEASE_S, Catalog, Kept
from hfproxy.storage.database import Database
from hfproxy.storage.eviction import nothing_pinned
from hfproxy.storage.object_followed import ObjectFollowed
from hfproxy.storage.object_names import Objects, names, object_name
from hfproxy.storage.object_partial import ObjectPartial

log = structlog.get_logger(__name__)

BLOCK_SIZE_BYTES = 4 * 1024**2
MEMORY_BYTES = 64 * 1024**2
_MOST_UPLOADS = 16
_LIVE_EVERY_S = LEASE_S / 4
_TIDY_EVERY_S = 30.0
_MOST_REMEMBERED = 20_000
# What is remembered of a blob is asked again after so long: another gateway may have evicted it.
_REMEMBERED_FOR_S = 60.0
_DROPS_AT_ONCE = 100


class ObjectBlob:
    """A complete blob in a bucket. Deleted, its objects stay for an hour."""

    fd = None

    def __init__(self, kept: Kept, memory: BlockMemory, *, on_gone: Callable[[], None]) -> None:
        self.key, self.size_bytes = kept.key, kept.size_bytes
        self._objects: Objects = kept.objects
        self._grain, self._memory, self._on_gone = kept.block_bytes, memory, on_gone

    async def read(self, start: int, stop: int) -> bytes:
        parts = []
        try:
            while start < stop:
                block = start // self._grain
                content = await self._memory.get(self._name(block))
                first, last = start - block * self._grain, min(stop - block * self._grain, self._grain)
                if last > len(content) // 2 and block + 1 in self._objects:
                    self._memory.ahead(self._name(block + 1))
                part = content[first:last]
                if len(part) < last - first:
                    raise ObjectGone(f"an object of {self.key} is too short")
                parts.append(part)
                start += len(part)
        except ObjectGone:
            self._on_gone()
            raise
        return b"".join(parts)

    def _name(self, block: int) -> str:
        return object_name(self.key, self._objects[block], block)

    def close(self) -> None:
        pass


class ObjectBlobs:
    """A `BlobStore` in a bucket."""

    def __init__(
        self,
        *,
        bucket: Bucket,
        catalog: Catalog,
        block_size_bytes: int,
        limit_bytes: int | None,
        memory_bytes: int,
        pinned: Callable[[BlobKey], bool],
    ) -> None:
        self.block_size_bytes = block_size_bytes
        self._bucket, self._catalog, self._limit, self._pinned = bucket, catalog, limit_bytes, pinned
        self._memory = BlockMemory(memory_bytes, bucket.get)
        self._uploads = asyncio.Semaphore(_MOST_UPLOADS)
        self._writing: dict[str, ObjectPartial] = {}
        self._remembered: OrderedDict[BlobKey, tuple[float, Kept]] = OrderedDict()
        self._touched: dict[BlobKey, float] = {}
        self._used = 0

    async def size(self, key: BlobKey) -> int | None:
        kept = await self._find(key)
        return kept.size_bytes if kept is not None else None

    async def open(self, key: BlobKey) -> ObjectBlob | None:
        kept = await self._find(key)
        if kept is None:
            return None
        self._touched[key] = time.monotonic()
        return ObjectBlob(kept, self._memory, on_gone=lambda: self._forget(key))

    async def put(self, key: BlobKey, content: bytes) -> None:
        if not key.names(content):
            raise WrongBytes(f"these {len(content)} bytes are not {key}")
        if await self._find(key) is not None:
            return
        await self._reserve(key, None, len(content))
        series, grain = uuid.uuid4().hex, self.block_size_bytes
        try:
            for start in range(0, max(1, len(content)), grain):
                await self._bucket.put(object_name(key, series, start // grain), content[start : start + grain])
            await self._catalog.put(key, series, len(content), grain)
        except BaseException:
            self._used -= len(content)
            raise

    async def partial(self, key: BlobKey, size_bytes: int) -> ObjectPartial:
        writer = uuid.uuid4().hex
        there = await self._catalog.take(key, size_bytes, self.block_size_bytes, writer)
        blocks = Blocks(size_bytes, self.block_size_bytes, there)
        found = ObjectPartial(
            key,
            writer=writer,
            blocks=blocks,
            series=there,
            catalog=self._catalog,
            bucket=self._bucket,
            memory=self._memory,
            uploads=self._uploads,
            reserve=self._reserve,
            on_settled=partial(self._settled, writer),
        )
        self._writing[writer] = found
        return found

    def follow(self, key: BlobKey, size_bytes: int) -> ObjectFollowed:
        return ObjectFollowed(key, size_bytes, self.block_size_bytes, catalog=self._catalog, memory=self._memory)

    async def delete(self, key: BlobKey) -> bool:
        self._remembered.pop(key, None)
        gone = await self._catalog.delete(key)
        if gone is not None:
            self._used -= gone.taken_bytes
        return gone is not None

    def public_path(self, key: BlobKey) -> None:
        return None

    async def list(self) -> AsyncIterator[BlobInfo]:
        async for kept in self._catalog.all():
            size_bytes = kept.size_bytes if kept.complete else kept.taken_bytes
            yield BlobInfo(kept.key, size_bytes, datetime.fromtimestamp(kept.used_at_s, UTC), kept.complete)

    async def trouble(self) -> str | None:
        return self._bucket.trouble()

    def used(self) -> int:
        return self._used

    async def live(self) -> None:
        """Says that this process lives, for every blob that it writes, until cancelled."""
        while True:
            await asyncio.sleep(_LIVE_EVERY_S)
            writers = dict(self._writing)
            if not writers:
                continue
            try:
                held = await self._catalog.live(writers)
            except BlobStoreBroken as problem:
                log.warning("blobs.unwritten", reason=str(problem))
                continue
            for writer, being_written in writers.items():
                if writer not in held:
                    being_written.lost()

    async def tidy(self) -> None:
        """Brings to the database when blobs were used, and deletes what was dropped, until cancelled."""
        while True:
            await asyncio.sleep(_TIDY_EVERY_S)
            try:
                await self.write_uses()
                self._used = await self._catalog.used_bytes()
                await self.delete_dropped()
            except BlobStoreBroken as problem:
                log.warning("blobs.unwritten", reason=str(problem))

    async def write_uses(self) -> None:
        """Brings to the database when blobs were used."""
        touched, self._touched = self._touched, {}
        if touched:
            now = time.monotonic()
            await self._catalog.touch({key: now - at for key, at in touched.items()})

    async def delete_dropped(self) -> None:
        """Deletes the objects of blobs that went an hour ago."""
        for drop, key, objects in await self._catalog.due(_DROPS_AT_ONCE):
            await self._bucket.delete(names(key, objects))
            await self._catalog.gone(drop)

    async def look(self) -> None:
        """Learns how much is kept."""
        self._used = await self._catalog.used_bytes()

    async def close(self) -> None:
        await self._memory.close()
        await self._catalog.close()
        with suppress(BlobStoreBroken):  # only the order of eviction suffers
            await self.write_uses()

    async def _find(self, key: BlobKey) -> Kept | None:
        now = time.monotonic()
        known = self._remembered.get(key)
        if known is not None and now - known[0] < _REMEMBERED_FOR_S:
            self._remembered.move_to_end(key)
            return known[1]
        try:
            kept = await self._catalog.find(key)
        except BlobStoreBroken:
            if known is None:
                raise
            return known[1]  # the database is away, and what it said holds as a rule
        if kept is None or not kept.complete:
            self._remembered.pop(key, None)
            return None
        self._remembered[key] = now, kept
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return kept

    async def _reserve(self, key: BlobKey, writer: str | None, size_bytes: int) -> None:
        if writer is not None or self._limit is not None:
            if self._limit is not None:
                await self.write_uses()
            for gone in await self._catalog.reserve(key, writer, size_bytes, self._limit, self._pinned):
                self._used -= gone.taken_bytes
                self._remembered.pop(gone.key, None)
                log.info("blob.evicted", blob=str(gone.key), size_bytes=gone.taken_bytes)
        self._used += size_bytes

    def _forget(self, key: BlobKey) -> None:
        self._remembered.pop(key, None)

    def _settled(self, writer: str, more_bytes: int) -> None:
        self._writing.pop(writer, None)
        self._used += more_bytes


@asynccontextmanager
async def object_blobs(
    bucket: Bucket,
    database: Database,
    *,
    limit_bytes: int | None = None,
    pinned: Callable[[BlobKey], bool] = nothing_pinned,
    block_size_bytes: int = BLOCK_SIZE_BYTES,
    memory_bytes: int = MEMORY_BYTES,
) -> AsyncIterator[ObjectBlobs]:
    """The store in this bucket, with what it does beside: living, tidying. Raises BlobStoreBroken."""
    blobs = ObjectBlobs(
        bucket=bucket,
        catalog=Catalog(database),
        block_size_bytes=block_size_bytes,
        limit_bytes=limit_bytes,
        memory_bytes=memory_bytes,
        pinned=pinned,
    )
    await blobs.look()
    beside = [
        asyncio.create_task(blobs.live(), name="say that this gateway lives"),
        asyncio.create_task(blobs.tidy(), name="tidy the bucket"),
    ]
    try:
        yield blobs
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await blobs.close()
