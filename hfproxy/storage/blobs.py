"""What a store of blobs promises. Each sentence of these docstrings is held by `tests/contracts/blobs.py`.

A blob is a file's bytes, named by their hash: the same bytes in ten repositories are kept once, and a name never means
other bytes tomorrow. What is on its way is a partial blob: it grows block by block, in any order, and outlives the
process.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, Self

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


class Algorithm(StrEnum):
    """How a blob's name is made of its bytes (contract 9.19)."""

    SHA256 = "sha256"
    """Of the bytes: an LFS object."""
    GIT = "git"
    """SHA-1 of `blob <size>\\0` and the bytes: a file that git itself keeps."""


@dataclass(frozen=True, slots=True)
class BlobKey:
    """A blob's name: in which way its bytes were hashed, and what came out, in lower-case hex."""

    algorithm: Algorithm
    digest: str

    @classmethod
    def from_etag(cls, etag: str) -> Self | None:
        """The key that a normalised etag of the Hub stands for; None for one that is no hash of the bytes."""
        digest = etag.lower()
        if _SHA256.fullmatch(digest):
            return cls(Algorithm.SHA256, digest)
        return cls(Algorithm.GIT, digest) if _SHA1.fullmatch(digest) else None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The key that `str()` printed; None for any other text."""
        algorithm, _, digest = text.partition("-")
        key = cls.from_etag(digest)
        return key if key is not None and key.algorithm.value == algorithm else None

    @classmethod
    def of(cls, content: bytes, algorithm: Algorithm = Algorithm.SHA256) -> Self:
        """The key of these bytes."""
        digest = begin_digest(algorithm, len(content))
        digest.update(content)
        return cls(algorithm, digest.hexdigest())

    def names(self, content: bytes) -> bool:
        """Whether these are the bytes that the key names."""
        return self.of(content, self.algorithm) == self

    def __str__(self) -> str:
        return f"{self.algorithm}-{self.digest}"


def begin_digest(algorithm: Algorithm, size_bytes: int) -> "hashlib._Hash":
    """A digest that a blob of this size can be fed to, from its first byte on."""
    if algorithm is Algorithm.SHA256:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)


class BlobProblem(Exception):
    """What keeps a store from doing what it was asked; never shown to callers, who are served without the store."""


class StorageFull(BlobProblem):
    """There is no room, and nothing may be evicted to make some."""


class BlobBusy(BlobProblem):
    """Somebody else, in this process or another, is writing this blob."""


class WrongBytes(BlobProblem):
    """The bytes are not the ones that the key names; they are gone."""


class BlobStoreBroken(BlobProblem):
    """The medium fails: read-only, unplugged, an I/O error."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What is known of a blob without reading it."""

    key: BlobKey
    size_bytes: int
    """Its full size once complete, else what is kept of it so far."""
    used_at: datetime
    """When somebody last read it, to the hour."""
    complete: bool


class StoredBlob(Protocol):
    """A complete blob, held open. Deleting it does not disturb who reads it."""

    @property
    def key(self) -> BlobKey: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def fd(self) -> int | None:
        """A descriptor that `sendfile` can read, at any offset; None where the bytes are not on this machine."""

    async def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop). Raises BlobStoreBroken."""

    def close(self) -> None:
        """Lets go of it; closing twice does nothing."""


class PartialBlob(Protocol):
    """A blob on its way: one writer's, any number of readers'.

    Bytes that were written are readable at once. Closed or killed at any point, the same blob opened again still has
    every whole block that it had; after a crash of the machine, those that had reached the medium.
    """

    @property
    def key(self) -> BlobKey: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def block_size_bytes(self) -> int:
        """As `BlobStore.block_size_bytes`."""

    @property
    def fd(self) -> int | None:
        """As `StoredBlob.fd`; bytes that are not there yet read as zeros, so ask `ready_until` first."""

    def ready_until(self, start: int) -> int:
        """Where the bytes that are there without a gap from `start` on end; `start` itself if that byte is missing."""

    def missing(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The gaps that touch [start, stop), in order; each begins at a byte that is missing and ends a block."""

    async def reserve(self, start: int, stop: int) -> None:
        """Sets room aside for the blocks that touch [start, stop). Raises StorageFull, then nothing is set aside."""

    async def write(self, start: int, *pieces: bytes | memoryview) -> None:
        """Keeps the pieces, one after the other, from `start` on: where a gap begins, and within what was reserved.

        Two writes at once must not touch the same block. Raises StorageFull, BlobStoreBroken.
        """

    async def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop), all of which are ready. Raises BlobStoreBroken."""

    async def verify(self) -> None:
        """Passes if every byte is there and the digest is the key's. Raises WrongBytes, and then nothing is kept."""

    async def keep(self) -> None:
        """Makes it a complete blob, at once and for good: a crash leaves either the partial or the whole blob.

        Only after `verify`. Readers go on reading. Raises StorageFull, BlobStoreBroken.
        """

    async def discard(self) -> None:
        """Forgets all of it and gives its room back."""

    async def close(self) -> None:
        """Lets go of it. What is there stays for the next who opens it; what is kept or discarded stays so."""


class FollowedBlob(Protocol):
    """A blob that another process writes, read as it grows. Nothing is asked before the first `look`."""

    @property
    def key(self) -> BlobKey: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def fd(self) -> int | None:
        """As `PartialBlob.fd`."""

    def ready_until(self, start: int) -> int:
        """As `PartialBlob.ready_until`, as of the last look."""

    async def look(self, start: int) -> bool:
        """Learns what came since from `start` on; False once nobody writes it: it is complete, left or gone.

        Raises BlobStoreBroken.
        """

    async def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop), all of which are ready. Raises BlobStoreBroken."""

    def close(self) -> None:
        """Lets go of it; closing twice does nothing."""


class BlobStore(Protocol):
    """Keeps blobs. Opened and closed by one context; several processes may share one store."""

    @property
    def block_size_bytes(self) -> int:
        """The grain in which partial blobs are kept."""

    async def size(self, key: BlobKey) -> int | None:
        """The size of a complete blob; None if there is none."""

    async def open(self, key: BlobKey) -> StoredBlob | None:
        """A complete blob, now the most recently used; None if there is none."""

    async def put(self, key: BlobKey, content: bytes) -> None:
        """Keeps a small blob whole. Raises WrongBytes, StorageFull, BlobStoreBroken; if it is there already, nothing
        happens."""

    async def partial(self, key: BlobKey, size_bytes: int) -> PartialBlob:
        """A blob on its way, new or as it was left; what was left of another size is forgotten first.

        Raises BlobBusy while another is open, or once the blob is complete; BlobStoreBroken.
        """

    def follow(self, key: BlobKey, size_bytes: int) -> FollowedBlob:
        """The same blob while another process writes it."""

    async def delete(self, key: BlobKey) -> bool:
        """Forgets a blob, complete or left partial; whether there was one. Raises BlobBusy if it is being written."""

    def public_path(self, key: BlobKey) -> str | None:
        """Where a complete blob lies below the store's root; None where a front server could not read it."""

    def list(self) -> AsyncIterator[BlobInfo]:
        """Every blob, complete and partial, in no order."""

    async def trouble(self) -> str | None:
        """What keeps it from keeping anything now, as far as it can be seen without trying; None if nothing does."""

    def used(self) -> int:
        """How many bytes all of them take, with what is reserved."""
