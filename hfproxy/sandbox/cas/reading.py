"""A file of the Xet store as a stream of its bytes, for those who fetch it by plain HTTP."""

import io
from bisect import bisect_right
from itertools import accumulate

from .shards import Term
from .store import XetFile, XetStore


class XetStream(io.RawIOBase):
    """Reads a file from its chunks; seeking costs nothing but the chunk that is read next."""

    def __init__(self, store: XetStore, file: XetFile) -> None:
        super().__init__()
        self._store = store
        self._file = file
        self._ends = list(accumulate((term.size_bytes for term in file.terms), initial=0))
        self._at = 0
        self._chunk_at, self._chunk = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: "bytearray | memoryview[int]") -> int:  # type: ignore[override]
        """As much of one chunk as fits."""
        if self._at >= self._file.size_bytes:
            return 0
        if not self._chunk_at <= self._at < self._chunk_at + len(self._chunk):
            self._load()
        start = self._at - self._chunk_at
        content = self._chunk[start : start + len(buffer)]
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def _load(self) -> None:
        """Unpack the chunk that has the byte to be read next."""
        number = bisect_right(self._ends, self._at) - 1
        term = self._file.terms[number]
        xorb = self._store.xorb(term.xorb)
        if xorb is None:
            raise OSError("a xorb of the file is gone")
        base = xorb.ends[term.first] - self._ends[number]
        chunk = bisect_right(xorb.ends, self._at + base) - 1
        [self._chunk] = self._store.read(Term(term.xorb, chunk, chunk + 1, len(self._chunk)))
        self._chunk_at = xorb.ends[chunk] - base


def opened(store: XetStore, file: XetFile) -> io.BufferedReader:
    return io.BufferedReader(XetStream(store, file), 128 * 1024)
