"""Blobs on a local disk (`layout.py` draws it), read and written off the event loop."""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import structlog

from hfproxy.storage.blobs import BlobBusy, BlobInfo, BlobKey, BlobStoreBroken, WrongBytes
from hfproxy.storage.disk_followed import DiskFollowed, is_locked
from hfproxy.storage.disk_partial import DiskPartial, close_partial, open_partial
from hfproxy.storage.eviction import Space, least_recently_used_first, nothing_pinned
from hfproxy.storage.layout import Layout, sync_folder
from hfproxy.storage.threads import DiskThreads

log = structlog.get_logger(__name__)
T = TypeVar("T")

BLOCK_SIZE_BYTES = 1024**2
_THREADS = 8
_USED_GRAIN_S = 3600
_LOOK_EVERY_S = 15.0


class DiskBlob:
    """A complete blob's file, open for reading."""

    def __init__(self, key: BlobKey, size_bytes: int, fd: int, threads: DiskThreads) -> None:
        self.key, self.size_bytes, self.fd = key, size_bytes, fd
        self._threads = threads
        self._open = True

    async def read(self, start: int, stop: int) -> bytes:
        return await self._threads.run(os.pread, self.fd, stop - start, start)

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self.fd)


class DiskBlobs:
    """A `BlobStore` in one folder of a local disk."""

    block_size_bytes = BLOCK_SIZE_BYTES

    def __init__(self, layout: Layout, threads: DiskThreads, space: Space) -> None:
        self._layout, self._threads, self._space = layout, threads, space
        self._device = layout.device()
        self._writing: set[BlobKey] = set()

    async def size(self, key: BlobKey) -> int | None:
        try:
            return (await self._threads.run(os.stat, self._layout.complete(key))).st_size
        except BlobStoreBroken as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    async def open(self, key: BlobKey) -> DiskBlob | None:
        try:
            fd, size_bytes = await self._threads.opened(
                partial(_open_used, self._layout.complete(key)), close=lambda opened: os.close(opened[0])
            )
        except BlobStoreBroken as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            return None
        self._space.touch(key)
        return DiskBlob(key, size_bytes, fd, self._threads)

    async def put(self, key: BlobKey, content: bytes) -> None:
        if not key.names(content):
            raise WrongBytes(f"these {len(content)} bytes are not {key}")
        if key in self._writing or await self.size(key) is not None:
            return
        self._writing.add(key)
        try:
            await self._reserve(key, len(content))
            try:
                await self._in_folders(partial(self._threads.run, self._put, key, content))
            except BaseException:
                self._space.forget(key)
                raise
            finally:
                self._space.written(len(content))
            self._space.settle(key, len(content))
        finally:
            self._writing.discard(key)

    async def partial(self, key: BlobKey, size_bytes: int) -> DiskPartial:
        if key in self._writing:
            raise BlobBusy(str(key))
        self._writing.add(key)
        try:
            opening = partial(open_partial, self._layout, key, size_bytes, BLOCK_SIZE_BYTES)
            blocks, fd, journal = await self._in_folders(
                partial(self._threads.opened, opening, close=lambda opened: close_partial(*opened[1:]))
            )
        except BaseException:
            self._writing.discard(key)
            raise
        return DiskPartial(
            key,
            blocks=blocks,
            fd=fd,
            journal=journal,
            layout=self._layout,
            threads=self._threads,
            space=self._space,
            reserve=self._reserve,
            on_settled=partial(self._writing.discard, key),
        )

    def follow(self, key: BlobKey, size_bytes: int) -> DiskFollowed:
        return DiskFollowed(key, size_bytes, BLOCK_SIZE_BYTES, layout=self._layout, threads=self._threads)

    async def delete(self, key: BlobKey) -> bool:
        if key in self._writing:
            raise BlobBusy(str(key))
        was_there = await self._threads.run(self._delete, key)
        self._space.forget(key)
        return was_there

    def public_path(self, key: BlobKey) -> str:
        return self._layout.complete(key).relative_to(self._layout.root).as_posix()

    async def list(self) -> AsyncIterator[BlobInfo]:
        for info in await self._threads.run(lambda: [*self._layout.list()]):
            yield info

    def used(self) -> int:
        return self._space.used()

    async def trouble(self) -> str | None:
        try:
            return await asyncio.to_thread(self._trouble)  # the store's own threads may have much to do
        except OSError as error:
            return str(error)

    def _trouble(self) -> str | None:
        if self._layout.device() != self._device:
            return f"{self._layout.root} is not on the disk that it was on"
        unwritable = self._layout.unwritable()
        return f"{unwritable} is not writable" if unwritable is not None else None

    async def _reserve(self, key: BlobKey, size_bytes: int) -> None:
        await self._space.reserve(key, size_bytes, delete=self.delete)

    def _put(self, key: BlobKey, content: bytes) -> None:
        place, incoming = self._layout.complete(key), self._layout.incoming / uuid4().hex
        try:
            with incoming.open("wb") as file:
                file.write(content)
                file.flush()
                os.fdatasync(file.fileno())
            place.parent.mkdir(parents=True, exist_ok=True)
            incoming.rename(place)
        except BaseException:
            incoming.unlink(missing_ok=True)
            raise
        sync_folder(place.parent)

    async def _in_folders(self, work: Callable[[], Awaitable[T]]) -> T:
        """What the work returns; where somebody deleted the store's folders they are made again for it, once."""
        try:
            return await work()
        except BlobStoreBroken as error:
            if not isinstance(error.__cause__, FileNotFoundError) or not await self._threads.run(self._make_again):
                raise
        log.warning("store.emptied", folder=str(self._layout.root))
        await self._look()
        return await work()

    def _make_again(self) -> bool:
        """Whether it may: below a disk that is not mounted any more, files would be hidden once it is back."""
        if self._layout.device() != self._device:
            return False
        self._layout.make()
        return True

    async def look_again(self, every_s: float) -> None:
        """Learns now and then what other processes kept and deleted, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            with contextlib.suppress(BlobStoreBroken):  # whoever reads or writes says so
                await self._look()

    async def _look(self) -> None:
        found = await self._threads.run(lambda: {info.key: info.size_bytes for info in self._layout.list()})
        self._space.agree_with(found)

    def _delete(self, key: BlobKey) -> bool:
        if is_locked(self._layout.partial_blocks(key)):
            raise BlobBusy(str(key))  # another process writes it
        was_there = False
        for file in (self._layout.complete(key), self._layout.partial_blocks(key), self._layout.partial_bytes(key)):
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
                was_there = True
        return was_there


@asynccontextmanager
async def disk_blobs(
    root: Path,
    *,
    limit_bytes: int | None = None,
    floor_bytes: int = 0,
    pinned: Callable[[BlobKey], bool] = nothing_pinned,
    shared: bool = False,
) -> AsyncIterator[DiskBlobs]:
    """The store in this folder, swept of what a crash left. Raises BlobStoreBroken if the folder cannot be used.

    shared: other processes keep blobs there too; how much is learnt now and then.
    """
    layout, threads = Layout(root), DiskThreads(_THREADS)
    space = Space(limit_bytes=limit_bytes, floor_bytes=floor_bytes, free_bytes=lambda: _free_bytes(root), pinned=pinned)
    try:
        await threads.run(layout.make)
        await threads.run(layout.sweep)
        found = await threads.run(lambda: least_recently_used_first(layout.list()))
        space.begin_with((info.key, info.size_bytes) for info in found)
        blobs = DiskBlobs(layout, threads, space)
        looking = asyncio.create_task(blobs.look_again(_LOOK_EVERY_S), name="look at the disk") if shared else None
        try:
            yield blobs
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
    finally:
        threads.end()


def _open_used(file: Path) -> tuple[int, int]:
    """A file to read and its size; that it was used is noted on it, at most once an hour."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    found, now = os.fstat(fd), time.time()
    if abs(now - found.st_mtime) > _USED_GRAIN_S:
        # A read-only disk still serves; only the order of eviction suffers.
        with contextlib.suppress(OSError):
            os.utime(fd, (now, now))
    return fd, found.st_size


def _free_bytes(root: Path) -> int | None:
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return None
