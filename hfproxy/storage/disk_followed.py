"""A partial blob that another process of this machine writes, followed by its journal."""

import fcntl
import os
from pathlib import Path

from hfproxy.storage.blobs import BlobKey
from hfproxy.storage.blocks import Blocks
from hfproxy.storage.journal import Growing
from hfproxy.storage.layout import Layout
from hfproxy.storage.threads import DiskThreads


class DiskFollowed:
    """A `FollowedBlob` on a local disk. Whoever writes holds the journal's lock, and a killed process holds none."""

    def __init__(self, key: BlobKey, size_bytes: int, block_size: int, *, layout: Layout, threads: DiskThreads) -> None:
        self.key, self.size_bytes = key, size_bytes
        self.fd: int | None = None
        self._blocks = Blocks(size_bytes, block_size)
        self._layout, self._threads = layout, threads
        self._journal_fd = -1
        self._journal: Growing | None = None
        self._closed = False

    def ready_until(self, start: int) -> int:
        return self._blocks.ready_until(start)

    async def look(self, start: int) -> bool:
        written, blocks = await self._threads.run(self._look)
        for block in blocks:
            begin = block * self._blocks.block_size
            self._blocks.add(begin, begin + self._blocks.length(block))
        return written

    async def read(self, start: int, stop: int) -> bytes:
        assert self.fd is not None, "nothing is ready before the first look"
        return await self._threads.run(os.pread, self.fd, stop - start, start)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for fd in (self.fd, self._journal_fd):
            if fd is not None and fd >= 0:
                os.close(fd)

    def _look(self) -> tuple[bool, list[int]]:
        if self._journal is None and not self._open():
            return False, []
        assert self._journal is not None
        # Asked before the journal is read: what was recorded until the lock was given up is seen then.
        written = _locked(self._journal_fd)
        return written, self._journal.more()

    def _open(self) -> bool:
        try:
            journal_fd = os.open(self._layout.partial_blocks(self.key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            self.fd = os.open(self._layout.partial_bytes(self.key), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            os.close(journal_fd)
            if isinstance(error, FileNotFoundError):  # it was kept or thrown away between our two calls
                return False
            raise
        self._journal_fd = journal_fd
        self._journal = Growing(self._journal_fd, self.size_bytes, self._blocks.block_size)
        return True


def is_locked(journal: Path) -> bool:
    """Whether somebody writes the blob of this journal. Blocks."""
    try:
        fd = os.open(journal, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return _locked(fd)
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    """Whether another process holds the lock."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False
