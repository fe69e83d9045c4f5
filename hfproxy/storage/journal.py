"""Which blocks of a partial blob are there, written so that a crash at any point leaves a truth.

    <magic, size, block size, boot id>  block block block … (SYNC, n) block …

One record of four bytes for each block that was written. A crash of the process loses nothing: the system has the
bytes. A crash of the machine may lose what the system had not written out yet, so now and then the bytes are synced and
a mark says that the first n records are safe; if the machine was started again since, only those are believed.
"""

import os
import struct
from collections.abc import Iterable
from pathlib import Path

_MAGIC = b"HFPROXY1"
_HEADER = struct.Struct("<8sQI36s")
_RECORD = struct.Struct("<I")
_SYNC = 0xFFFFFFFF


def boot_id() -> bytes:
    """What tells one start of this machine from the next, 36 bytes; a new one each time where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip().ljust(36)[:36]
    except OSError:
        return os.urandom(18).hex().encode()


class Journal:
    """The record of one partial blob's blocks. All calls block; the caller holds the file's lock."""

    def __init__(self, fd: int, *, records: int) -> None:
        self.fd = fd
        self._records = records

    @classmethod
    def begin(cls, fd: int, size_bytes: int, block_size: int, blocks: Iterable[int] = ()) -> "Journal":
        """An empty journal, or one that begins with blocks that are known to be safe."""
        safe = list(blocks)
        body = b"".join(_RECORD.pack(block) for block in safe)
        os.ftruncate(fd, 0)
        os.pwrite(fd, _HEADER.pack(_MAGIC, size_bytes, block_size, boot_id()) + body, 0)
        journal = cls(fd, records=len(safe))
        if safe:
            journal.synced(len(safe))
        return journal

    @classmethod
    def read(cls, fd: int, size_bytes: int, block_size: int) -> "tuple[Journal, set[int]] | None":
        """The journal as it was left, and the blocks that are there; None if it is not one of this size."""
        content = os.pread(fd, os.fstat(fd).st_size, 0)
        if len(content) < _HEADER.size:
            return None
        magic, size, grain, boot = _HEADER.unpack_from(content)
        if (magic, size, grain) != (_MAGIC, size_bytes, block_size):
            return None
        blocks, safe = _replay(content[_HEADER.size :])
        if boot == boot_id():
            whole = _HEADER.size + (len(content) - _HEADER.size) // _RECORD.size * _RECORD.size
            os.ftruncate(fd, whole)  # a record torn by a kill
            return cls(fd, records=len(blocks)), set(blocks)
        return cls.begin(fd, size_bytes, block_size, blocks[:safe]), set(blocks[:safe])

    @property
    def records(self) -> int:
        """How many blocks were recorded so far."""
        return self._records

    def add(self, blocks: Iterable[int]) -> None:
        """Records blocks whose bytes the system has."""
        records = [_RECORD.pack(block) for block in blocks]
        if records:
            self._append(b"".join(records))
            self._records += len(records)

    def synced(self, records: int) -> None:
        """Marks the first `records` as safe: the bytes were synced after they were recorded."""
        self._append(_RECORD.pack(_SYNC) + _RECORD.pack(records))
        os.fdatasync(self.fd)

    def _append(self, content: bytes) -> None:
        os.lseek(self.fd, 0, os.SEEK_END)
        os.write(self.fd, content)


class Growing:
    """The blocks of a journal that another process writes, as they are recorded. All calls block."""

    def __init__(self, fd: int, size_bytes: int, block_size: int) -> None:
        self._fd, self._wanted = fd, (_MAGIC, size_bytes, block_size)
        self._at = 0

    def more(self) -> list[int]:
        """The blocks that were recorded since the last call."""
        size_bytes = os.fstat(self._fd).st_size
        if self._at == 0:
            header = os.pread(self._fd, _HEADER.size, 0)
            if len(header) < _HEADER.size or _HEADER.unpack(header)[:3] != self._wanted:
                return []
            self._at = _HEADER.size
        content = os.pread(self._fd, max(0, size_bytes - self._at), self._at)
        words = [word for (word,) in _RECORD.iter_unpack(content[: len(content) // _RECORD.size * _RECORD.size])]
        if words and words[-1] == _SYNC:
            words.pop()  # its number is still to come
        self._at += len(words) * _RECORD.size
        return _replay(b"".join(map(_RECORD.pack, words)))[0]


def _replay(content: bytes) -> tuple[list[int], int]:
    """The recorded blocks in their order, and how many of them are safe."""
    blocks: list[int] = []
    safe = 0
    words = (word for (word,) in _RECORD.iter_unpack(content[: len(content) // _RECORD.size * _RECORD.size]))
    for word in words:
        if word == _SYNC:
            safe = min(next(words, safe), len(blocks))
        else:
            blocks.append(word)
    return blocks, safe
