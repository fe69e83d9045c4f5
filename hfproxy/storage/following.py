"""A digest that follows bytes as they are written, in whatever order they come."""

import errno
import os
import threading
from collections.abc import Callable

from hfproxy.storage.blobs import BlobKey, begin_digest

_CHUNK_BYTES = 1024**2
# How many bytes that came out of order are caught up with, for each byte written: more than one, so that it gets there.
_CATCH_UP = 2


class FollowingDigest:
    """The digest of a growing file's first bytes; little is left to hash when the last one comes.

    What comes in order is hashed from memory. What does not is read back, from the system's cache as a rule, once the
    gap before it is closed. Its calls block, may come from several threads at once, and never wait for each other: who
    finds it busy leaves the work to the next.
    """

    def __init__(self, key: BlobKey, size_bytes: int, fd: int, ready_until: Callable[[int], int]) -> None:
        self._digest, self._done = begin_digest(key.algorithm, size_bytes), 0
        self._fd, self._ready_until = fd, ready_until
        self._turn = threading.Lock()

    def follow(self, start: int, content: bytes) -> None:
        """Takes in bytes that were just written at `start`."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            if start == self._done:
                self._digest.update(content)
                self._done += len(content)
            else:
                self._catch_up(min(self._ready_until(self._done), self._done + _CATCH_UP * len(content)))
        finally:
            self._turn.release()

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
            self._done += len(content)
