"""A partial blob in a bucket: each of its blocks an object of its own, noted in the database once it is there."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

from hfproxy.storage.blobs import BlobBusy, BlobKey, BlobProblem, BlobStoreBroken, WrongBytes, begin_digest
from hfproxy.storage.block_memory import BlockMemory
from hfproxy.storage.blocks import Blocks
from hfproxy.storage.bucket import Bucket
from hfproxy.storage.catalog import Catalog
from hfproxy.storage.object_names import object_name

# How many blocks that came out of order are caught up with, for each that arrives.
_CATCH_UP = 2


class ObjectPartial:
    """A `PartialBlob` in a bucket. What is not a whole block yet is in memory, and lost with the process."""

    fd = None

    def __init__(
        self,
        key: BlobKey,
        *,
        writer: str,
        blocks: Blocks,
        series: dict[int, str],
        catalog: Catalog,
        bucket: Bucket,
        memory: BlockMemory,
        uploads: asyncio.Semaphore,
        reserve: Callable[[BlobKey, str, int], Awaitable[None]],
        on_settled: Callable[[int], None],
    ) -> None:
        self.key, self.size_bytes, self.block_size_bytes = key, blocks.size_bytes, blocks.block_size
        self.writer = writer
        self._blocks, self._series = blocks, series
        self._catalog, self._bucket, self._memory, self._uploads = catalog, bucket, memory, uploads
        self._reserve, self._on_settled = reserve, on_settled
        self._begun: dict[int, bytearray] = {}  # written, but not in the bucket yet
        self._uploading: set[asyncio.Task[None]] = set()
        self._problem: BlobProblem | None = None
        self._room: set[int] = set()  # missing blocks that room is set aside for
        self._taken = blocks.kept_bytes()
        self._digest, self._hashed = begin_digest(key.algorithm, blocks.size_bytes), 0
        self._hashing = asyncio.Lock()
        self._verified = self._kept = self._settled = self._closed = False

    def lost(self) -> None:
        """Notes that another writes it now."""
        self._problem = self._problem or BlobBusy(f"{self.key}: another took it over")

    def ready_until(self, start: int) -> int:
        return self._blocks.ready_until(start)

    def missing(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        return self._blocks.missing(start, stop)

    async def reserve(self, start: int, stop: int) -> None:
        wanted = self._blocks.missing_among(start, stop) - self._room
        if not wanted:
            return
        self._room |= wanted
        size_bytes = self._blocks.lengths(wanted)
        try:
            await self._reserve(self.key, self.writer, size_bytes)
        except BaseException:
            self._room -= wanted
            raise
        self._taken += size_bytes

    async def write(self, start: int, *pieces: bytes | memoryview) -> None:
        for piece in pieces:
            await self._write(start, piece)
            start += len(piece)

    async def _write(self, start: int, content: bytes | memoryview) -> None:
        view, at, stop = memoryview(content), start, start + len(content)
        grain = self.block_size_bytes
        while at < stop:
            self._fail_if_lost()
            block = at // grain
            end = min(stop, block * grain + self._blocks.length(block))
            whole = end == block * grain + self._blocks.length(block)
            if whole:
                # The bound on what waits in memory, for all downloads of this process.
                await self._uploads.acquire()
            self._begun.setdefault(block, bytearray()).extend(view[at - start : end - start])
            self._blocks.add(at, end)
            at = end
            if whole:
                task = asyncio.create_task(self._upload(block), name=f"upload {self.key} {block}")
                self._uploading.add(task)
                task.add_done_callback(self._uploading.discard)

    async def read(self, start: int, stop: int) -> bytes:
        parts = []
        grain = self.block_size_bytes
        for block in self._blocks.touching(start, stop):
            first, last = max(0, start - block * grain), min(grain, stop - block * grain)
            begun = self._begun.get(block)
            parts.append(bytes(begun[first:last] if begun is not None else (await self._stored(block))[first:last]))
        return b"".join(parts)

    async def verify(self) -> None:
        assert self.ready_until(0) == self.size_bytes, "verify wants every byte"
        await self._uploaded()
        self._fail_if_lost()
        async with self._hashing:
            await self._catch_up(len(self._series))
        if self._digest.hexdigest() != self.key.digest:
            await self.discard()
            raise WrongBytes(f"the bytes that arrived are not {self.key}")
        self._verified = True

    async def keep(self) -> None:
        assert self._verified, "keep wants verified bytes"
        await self._catalog.complete(self.key, self.writer, self._series, self.size_bytes)
        self._kept = True
        self._settle(self.size_bytes)

    async def discard(self) -> None:
        await self._uploaded()
        self._blocks.clear()
        self._begun.clear()
        self._settle(0)
        await self._catalog.discard(self.key, self.writer)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._uploaded()
        if self._settled:
            return
        there = self._blocks.lengths(self._series)
        self._settle(there)
        with contextlib.suppress(BlobStoreBroken):  # the lease ends by itself
            await self._catalog.leave(self.key, self.writer, there)

    def _fail_if_lost(self) -> None:
        if self._problem is not None:
            raise self._problem

    async def _uploaded(self) -> None:
        while self._uploading:
            await asyncio.wait(self._uploading)

    async def _upload(self, block: int) -> None:
        try:
            content = bytes(self._begun[block])
            name = object_name(self.key, self.writer, block)
            try:
                await self._bucket.put(name, content)
                await self._catalog.note_block(self.key, block, self.writer)
            except BlobProblem as problem:
                # The bytes stay readable; nothing more is written.
                self._problem = self._problem or problem
                return
            self._memory.put(name, content)
            self._series[block] = self.writer
            del self._begun[block]
            self._room.discard(block)
            await self._follow(block, content)
        finally:
            self._uploads.release()

    async def _follow(self, block: int, content: bytes) -> None:
        """The digest takes in what arrived, and a little of what waited for it."""
        if self._hashing.locked():
            return  # who holds it, or the end, catches up
        async with self._hashing:
            if block == self._hashed:
                await asyncio.to_thread(self._digest.update, content)
                self._hashed += 1
            try:
                await self._catch_up(self._hashed + _CATCH_UP)
            except BlobStoreBroken as problem:
                self._problem = self._problem or problem

    async def _catch_up(self, most: int) -> None:
        while self._hashed < most and self._hashed in self._series:
            if self._hashed + 1 in self._series and self._hashed + 1 < most:
                self._memory.ahead(object_name(self.key, self._series[self._hashed + 1], self._hashed + 1))
            await asyncio.to_thread(self._digest.update, await self._stored(self._hashed))
            self._hashed += 1

    async def _stored(self, block: int) -> bytes:
        content = await self._memory.get(object_name(self.key, self._series[block], block))
        if len(content) != self._blocks.length(block):
            raise BlobStoreBroken(f"an object of {self.key} has {len(content)} bytes")
        return content

    def _settle(self, size_bytes: int) -> None:
        """Nobody writes any more: tells how much more it takes now than it did with what was reserved."""
        if not self._settled:
            self._settled = True
            self._on_settled(size_bytes - self._taken)
