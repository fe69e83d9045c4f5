"""What a download fetches next: pure, over gaps, readers and the runs that are under way."""

from collections.abc import Iterable, Iterator
from typing import Protocol

# A reader this far ahead of the connection that would reach them some day is given one of their own.
FAR_BYTES = 8 * 1024**2


class Run(Protocol):
    """A run under way: [position, stop)."""

    position: int
    stop: int


def uncovered(gaps: Iterable[tuple[int, int]], runs: Iterable[Run]) -> Iterator[tuple[int, int]]:
    """The parts of the gaps that no run is fetching, in order."""
    taken = sorted((run.position, run.stop) for run in runs)
    for start, stop in gaps:
        at = start
        for begin, end in taken:
            if end <= at or begin >= stop:
                continue
            if begin > at:
                yield at, begin
            at = max(at, end)
        if at < stop:
            yield at, stop


def split_for(position: int, run: Run, block_size: int) -> int | None:
    """Where a run should end so that a reader who waits far ahead in it gets a connection; None if they are near."""
    boundary = position // block_size * block_size
    if run.position < position < run.stop and boundary - run.position > FAR_BYTES:
        return boundary
    return None
