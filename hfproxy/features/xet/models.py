"""What is kept of a xorb."""

from dataclasses import dataclass

from hfproxy.features.xet.chunks import Leaf
from hfproxy.storage.blobs import BlobKey


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes [start, stop) of a xorb, and the blob that they are."""

    start: int
    stop: int
    key: BlobKey


@dataclass(frozen=True, slots=True)
class KeptRange:
    """A range as it was fetched, in pieces without gaps.

    repo: the repository or bucket that it was fetched for, as it prints. leaves: its chunks, the first of
    which is the xorb's chunk `first_chunk`. proven: whether the bytes follow from the xorb's name; others are well
    formed, and believed for a while and for that repository alone.
    """

    xorb: str
    start: int
    stop: int
    repo: str
    first_chunk: int
    leaves: tuple[Leaf, ...]
    pieces: tuple[Piece, ...]
    proven: bool
    kept_at_s: float

    @property
    def last_chunk(self) -> int:
        return self.first_chunk + len(self.leaves)
