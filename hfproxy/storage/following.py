"""A digest that follows bytes as they are written, in whatever order they come."""

import errno
import os
import threading
from collections.abc import Callable, Sequence

from hfproxy.storage.blobs import BlobKey, begin_digest

_CHUNK_BYTES = 256 * 1024
# How many bytes that came out of order are caught up with, for each byte written: more than one, so that it gets there.
_CATCH_UP = 2


class FollowingDigest:
    """The digest of a growing file's first bytes; little is left to hash when the last one comes.

    What comes in order is hashed from memory. What does not is read back, from the system's cache as a rule, once the
    gap before it is closed. Its calls block, and may come from several threads at once.
    """

    def __init__(self, key: BlobKey, size_bytes: int, fd: int, ready_until: Callable[[int], int]) -> None:
        self._digest, self._done = begin_digest(key.algorithm, size_bytes), 0
        self._next = 0  # where `_done` will be when whoever has the turn is through
        self._fd, self._ready_until = fd, ready_until
        self._turn = threading.Lock()

    def follow(self, start: int, pieces: Sequence[bytes | memoryview], begun: Callable[[], object]) -> None:
        """Takes in bytes that were just written at `start`; `begun` is called after the waiting and before the work.

        Bytes that are next in order wait for their turn, so that who goes on from `begun` is never more than one bunch
        ahead of the digest. Others never wait: who finds it busy leaves the work to the next.
        """
        if not self._turn.acquire(blocking=start == self._next):
            begun()
            return
        try:
            if start == self._done:
                self._next = start + sum(map(len, pieces))
                begun()
                for piece in pieces:
                    self._digest.update(piece)
                self._done = self._next
            else:
                begun()
                length = sum(map(len, pieces))
                self._catch_up(min(self._ready_until(self._done), self._done + _CATCH_UP * length))
        finally:
            self._turn.release()

    def rest(self) -> None:
        """Returns when nobody works on it any more."""
        with self._turn:
            pass

    def finish(self, size_bytes: int) -> str:
        """The hex digest of the whole file."""
        with self._turn:
            self._catch_up(size_bytes)
            return self._digest.hexdigest()

    def _catch_up(self, stop: int) -> None:
        while self._done < stop:
            content = os.pread(self._fd, min(_CHUNK_BYTES, stop - self._done), self._done)
            if not content:
                raise OSError(errno.EIO, "a partial blob is shorter than it should be")
            self._digest.update(content)
            self._done = self._next = self._done + len(content)
