"""A partial blob on a local disk: a sparse file beside the journal of its blocks."""

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import monotonic

from hfproxy.storage.blobs import BlobBusy, BlobKey, WrongBytes
from hfproxy.storage.blocks import Blocks
from hfproxy.storage.eviction import Space
from hfproxy.storage.following import FollowingDigest
from hfproxy.storage.journal import Journal
from hfproxy.storage.layout import Layout, sync_folder
from hfproxy.storage.threads import DiskThreads

# What a crash of the machine may cost at most, of one file: so many bytes, or what arrives in so much time.
_SYNC_EVERY_BYTES = 64 * 1024**2
_SYNC_EVERY_S = 5.0
# The system takes its file cache in pieces as large as what is written at once, and large ones are seldom at hand: a
# MiB at once costs a virtual machine twice the CPU of this, four MiB cost five times (docs/decisions/0028).
_WRITE_BYTES = 128 * 1024


class DiskPartial:
    """A `PartialBlob` on a local disk."""

    def __init__(
        self,
        key: BlobKey,
        *,
        blocks: Blocks,
        fd: int,
        journal: Journal,
        layout: Layout,
        threads: DiskThreads,
        space: Space,
        reserve: Callable[[BlobKey, int], Awaitable[None]],
        on_settled: Callable[[], None],
    ) -> None:
        self.key, self.size_bytes, self.block_size_bytes, self.fd = key, blocks.size_bytes, blocks.block_size, fd
        self._blocks, self._journal, self._layout, self._threads = blocks, journal, layout, threads
        self._space, self._reserve, self._on_settled = space, reserve, on_settled
        self._digest = FollowingDigest(key, blocks.size_bytes, fd, blocks.ready_until)
        self._room: set[int] = set()  # missing blocks that room is set aside for
        self._unsynced, self._synced_at = 0, monotonic()
        self._syncing: asyncio.Task[None] | None = None
        self._verified = self._settled = self._closed = False
        space.settle(key, blocks.kept_bytes())
        space.occupy(key)

    def ready_until(self, start: int) -> int:
        return self._blocks.ready_until(start)

    def missing(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        return self._blocks.missing(start, stop)

    async def reserve(self, start: int, stop: int) -> None:
        wanted = self._blocks.missing_among(start, stop) - self._room
        if not wanted:
            return
        self._room |= wanted
        try:
            await self._reserve(self.key, self._blocks.lengths(wanted))
        except BaseException:
            self._room -= wanted
            raise

    async def write(self, start: int, *pieces: bytes | memoryview) -> None:
        stop = start + sum(map(len, pieces))
        try:
            await self._threads.begin(partial(self._write, start, pieces))
        except asyncio.CancelledError as cancelled:
            if cancelled.__cause__ is None:
                self._note(start, stop)  # what the thread wrote is there
            raise
        self._note(start, stop)
        self._sync_sometimes()

    async def read(self, start: int, stop: int) -> bytes:
        return await self._threads.run(os.pread, self.fd, stop - start, start)

    async def verify(self) -> None:
        assert self.ready_until(0) == self.size_bytes, "verify wants every byte"
        if await self._threads.run(self._digest.finish, self.size_bytes) != self.key.digest:
            await self.discard()
            raise WrongBytes(f"the bytes that arrived are not {self.key}")
        self._verified = True

    async def keep(self) -> None:
        assert self._verified, "keep wants verified bytes"
        await self._synced()
        await self._threads.run(self._keep)
        self._settle(self.size_bytes)

    async def discard(self) -> None:
        await self._followed()
        self._blocks.clear()
        await self._threads.run(self._discard)
        self._settle(None)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._followed()
        if self._syncing is not None:
            await asyncio.gather(self._syncing, return_exceptions=True)
        close_partial(self.fd, self._journal)
        self._settle(self._blocks.kept_bytes())

    async def _followed(self) -> None:
        """Waits until the digest has let go of the file; an error of its shows again in `verify`."""
        await self._threads.run(self._digest.rest)

    def _note(self, start: int, stop: int) -> None:
        """Lets readers have what a thread wrote."""
        for block in self._blocks.add(start, stop):
            length = self._blocks.length(block)
            self._unsynced += length
            if block in self._room:
                self._room.remove(block)
                self._space.written(length)

    def _settle(self, size_bytes: int | None) -> None:
        """Nobody writes any more: gives back what was reserved and not used; None: all of it."""
        if self._settled:
            return
        self._settled = True
        self._space.written(self._blocks.lengths(self._room))
        if size_bytes is None:
            self._space.forget(self.key)
        else:
            self._space.settle(self.key, size_bytes)
        self._on_settled()

    def _write(self, start: int, pieces: Sequence[bytes | memoryview], written: Callable[[], object]) -> None:
        """Writes and then hashes, in one go of one thread; the bytes may be read from `written` on."""
        at = start
        for piece in pieces:
            at = _write_all(self.fd, piece, at)
        self._journal.add(self._blocks.ended_by(start, at))
        self._digest.follow(start, pieces, written)

    def _sync_sometimes(self) -> None:
        """Begins to bring the bytes to the disk, beside those that still come. Raises what the last time ended in."""
        if self._unsynced < _SYNC_EVERY_BYTES or monotonic() - self._synced_at < _SYNC_EVERY_S:
            return
        if self._syncing is not None:
            if not self._syncing.done():
                return
            self._syncing.result()
        self._unsynced, self._synced_at = 0, monotonic()
        self._syncing = asyncio.create_task(self._threads.run(self._sync_now, self._journal.records))

    async def _synced(self) -> None:
        """Waits until nothing is on its way to the disk. Raises BlobProblem: the system tells it once only."""
        if (syncing := self._syncing) is not None:
            await asyncio.wait([syncing])
            syncing.result()

    def _sync_now(self, records: int) -> None:
        os.fdatasync(self.fd)
        self._journal.synced(records)

    def _keep(self) -> None:
        os.fdatasync(self.fd)
        place = self._layout.complete(self.key)
        place.parent.mkdir(parents=True, exist_ok=True)
        self._layout.partial_bytes(self.key).rename(place)
        sync_folder(place.parent)
        self._layout.partial_blocks(self.key).unlink(missing_ok=True)

    def _discard(self) -> None:
        self._layout.partial_bytes(self.key).unlink(missing_ok=True)
        self._layout.partial_blocks(self.key).unlink(missing_ok=True)


def _write_all(fd: int, content: bytes | memoryview, start: int) -> int:
    """Where the content ends, all of it written from `start` on."""
    view, written = memoryview(content), 0
    while written < len(content):  # a disk that becomes full takes a part
        written += os.pwrite(fd, view[written : written + _WRITE_BYTES], start + written)
    return start + written


def open_partial(layout: Layout, key: BlobKey, size_bytes: int, block_size: int) -> tuple[Blocks, int, Journal]:
    """What is there of a blob, its file, and its journal, locked. Blocks. Raises BlobBusy."""
    journal_fd = _locked(layout.partial_blocks(key), key)
    try:
        if layout.complete(key).exists():
            # Another process finished it since the caller looked.
            layout.partial_blocks(key).unlink(missing_ok=True)
            raise BlobBusy(str(key))
        fd = os.open(layout.partial_bytes(key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if hasattr(os, "posix_fadvise"):
                # The system must not read ahead of who follows: it would fill its cache with zeros for what is to come.
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
            found = Journal.read(journal_fd, size_bytes, block_size)
            if found is None or os.fstat(fd).st_size != size_bytes:
                os.ftruncate(fd, 0)
                os.ftruncate(fd, size_bytes)
                found = Journal.begin(journal_fd, size_bytes, block_size), set()
        except BaseException:
            os.close(fd)
            raise
    except BaseException:
        os.close(journal_fd)
        raise
    journal, there = found
    return Blocks(size_bytes, block_size, there), fd, journal


def close_partial(fd: int, journal: Journal) -> None:
    """Lets go of what `open_partial` opened."""
    os.close(journal.fd)  # which gives up the lock
    os.close(fd)


def _locked(file: Path, key: BlobKey) -> int:
    """The journal, locked against other processes. Raises BlobBusy."""
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise BlobBusy(str(key)) from None
    if not is_still(fd, file):
        os.close(fd)  # who wrote it ended, and took the journal away, between our two calls
        raise BlobBusy(str(key))
    return fd


def is_still(fd: int, file: Path) -> bool:
    """Whether an open file is the one that has this name now."""
    try:
        named, opened = file.stat(), os.fstat(fd)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
