"""Rounds: everything that is compared is measured in turn, again and again, so that a bad minute hits all alike."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from statistics import median
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


def interleaved(cells: Mapping[K, Callable[[], T]], *, rounds: int) -> dict[K, list[T]]:
    """What each cell came to in each round; every second round goes the other way round."""
    results: dict[K, list[T]] = {name: [] for name in cells}
    for number in range(rounds):
        for name in sorted(cells, key=list(cells).index, reverse=bool(number % 2)):
            results[name].append(cells[name]())
    return results


def middle(results: Sequence[T], figure: Callable[[T], float]) -> float:
    """The median of one figure."""
    return median(map(figure, results))
