"""Small files' bytes in memory, where they are answered from without a thread or a system call."""

from collections import OrderedDict

from hfproxy.storage.blobs import BlobKey

# What a body takes besides its own bytes: its object, its name, its place in the dictionary. Measured.
_ENTRY_BYTES = 320


class BodyMemory:
    """The most recently used bodies, up to so many bytes of memory in all."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        # By digest: those of the two algorithms differ in length, and an enum's hash costs more than the lookup.
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._used = 0

    def get(self, key: BlobKey) -> bytes | None:
        body = self._bodies.get(key.digest)
        if body is not None:
            self._bodies.move_to_end(key.digest)
        return body

    def takes(self, size_bytes: int) -> bool:
        """Whether a body of this size is remembered at all."""
        return size_bytes <= self._limit // 8

    def put(self, key: BlobKey, body: bytes) -> None:
        if key.digest in self._bodies or not self.takes(len(body)):
            return
        self._bodies[key.digest] = body
        self._used += len(body) + _ENTRY_BYTES
        while self._used > self._limit:
            _, dropped = self._bodies.popitem(last=False)
            self._used -= len(dropped) + _ENTRY_BYTES
