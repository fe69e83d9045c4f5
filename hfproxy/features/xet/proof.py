"""Which ranges of a xorb are proven by its name, and which contradict each other. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from hfproxy.features.xet.chunks import Leaf
from hfproxy.features.xet.models import KeptRange
from hfproxy.upstream.xet_hashes import spelled, xorb_hash


@dataclass(frozen=True, slots=True)
class Joined:
    """Ranges that follow each other from a xorb's first chunk on: what their chunks are called together, and their end.

    name: None where there is no such beginning.
    """

    name: str | None
    stop: int

    def is_whole(self, xorb_bytes: int | None) -> bool:
        """Whether they are all of a xorb of so many bytes; some xorbs have a footer, of those nobody can tell."""
        return self.name is not None and self.stop == xorb_bytes


def joined(ranges: Iterable[KeptRange]) -> Joined:
    """What these ranges are together; those behind a gap do not count."""
    leaves: list[Leaf] = []
    stop = 0
    for each in sorted(ranges, key=lambda one: one.first_chunk):
        if each.first_chunk > len(leaves):
            break
        leaves += each.leaves[len(leaves) - each.first_chunk :]
        stop = max(stop, each.stop)
    return Joined(spelled(xorb_hash(leaves)) if leaves else None, stop)


def contradicting(new: KeptRange, others: Iterable[KeptRange]) -> list[KeptRange]:
    """Those of the others that have another chunk where the new range has one: one of the two is wrong."""
    return [other for other in others if not _agree(new, other)]


def _agree(one: KeptRange, other: KeptRange) -> bool:
    first, last = max(one.first_chunk, other.first_chunk), min(one.last_chunk, other.last_chunk)
    if first >= last:
        return True
    return (
        one.leaves[first - one.first_chunk : last - one.first_chunk]
        == other.leaves[first - other.first_chunk : last - other.first_chunk]
    )
