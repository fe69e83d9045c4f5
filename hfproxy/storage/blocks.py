"""Which bytes of a blob are there: whole blocks, and how far those that were begun have come."""

from collections.abc import Iterable, Iterator


class Blocks:
    """A map of one blob in blocks of one size (the last may be shorter); pure, and cheap to ask."""

    def __init__(self, size_bytes: int, block_size: int, there: Iterable[int] = ()) -> None:
        self.size_bytes, self.block_size = size_bytes, block_size
        self._there = bytearray(-(-size_bytes // block_size))
        for block in there:
            self._there[block] = 1
        self._begun: dict[int, int] = {}  # block → where its missing bytes begin

    def ready_until(self, start: int) -> int:
        """Where the bytes that are there without a gap from `start` on end."""
        if start >= self.size_bytes:
            return start
        gap = self._there.find(0, start // self.block_size)
        if gap < 0:
            return self.size_bytes
        return max(start, self._begun.get(gap, gap * self.block_size))

    def missing(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The gaps in the blocks that touch [start, stop), in order, as bytes.

        A block that was begun starts a gap of its own: what is there of it is not fetched again.
        """
        last = -(-min(stop, self.size_bytes) // self.block_size)
        block = start // self.block_size
        while (block := self._there.find(0, block, last)) >= 0:
            end = block + 1
            while end < last and not self._there[end] and end not in self._begun:
                end += 1
            yield self._begun.get(block, block * self.block_size), min(end * self.block_size, self.size_bytes)
            block = end

    def touching(self, start: int, stop: int) -> range:
        """The blocks that touch [start, stop)."""
        return range(start // self.block_size, -(-min(stop, self.size_bytes) // self.block_size))

    def missing_among(self, start: int, stop: int) -> set[int]:
        """The blocks that touch [start, stop) and are not whole."""
        return {block for run in self.missing(start, stop) for block in self.touching(*run)}

    def ended_by(self, start: int, stop: int) -> range:
        """The blocks that are whole once [start, stop) is written, where `start` is where a gap begins."""
        last = len(self._there) if stop == self.size_bytes else stop // self.block_size
        return range(start // self.block_size, last)

    def add(self, start: int, stop: int) -> range:
        """Takes in that [start, stop) was written; gives the blocks that became whole."""
        done = self.ended_by(start, stop)
        for block in done:
            self._there[block] = 1
            self._begun.pop(block, None)
        if stop % self.block_size and stop < self.size_bytes:
            self._begun[stop // self.block_size] = stop
        return done

    def length(self, block: int) -> int:
        """How many bytes a block has."""
        return min(self.block_size, self.size_bytes - block * self.block_size)

    def lengths(self, blocks: Iterable[int]) -> int:
        """How many bytes these blocks have together."""
        return sum(map(self.length, blocks))

    def kept_bytes(self) -> int:
        """How many bytes the whole blocks have."""
        if not (count := self._there.count(1)):
            return 0
        last = len(self._there) - 1
        return count * self.block_size - (self.block_size - self.length(last) if self._there[last] else 0)

    def clear(self) -> None:
        """Forgets all blocks."""
        self._there = bytearray(len(self._there))
        self._begun.clear()
