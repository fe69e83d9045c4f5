"""What a download may hold in memory of what is on its way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


class Units:
    """Pieces of memory of one size, as many as are looked at together."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._all: list[bytearray] = []

    def take(self) -> memoryview:
        """One that nobody has a view of; it is taken for as long as somebody has."""
        for unit in self._all:
            if _unseen(unit):
                return memoryview(unit)
        self._all.append(bytearray(self._size_bytes))
        return memoryview(self._all[-1])


class Crowd:
    """Downloads that are too many for memory of their own: each has a unit while it is its turn.

    Whose turn it is not leaves what comes to the system's buffers, and so to the sender.
    """

    def __init__(self, *, turns: int, unit_bytes: int) -> None:
        self._turns, self._units = asyncio.Semaphore(turns), Units(unit_bytes)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[memoryview]:
        """A unit; who waited longest is next."""
        async with self._turns:
            yield self._units.take()


@dataclass(frozen=True, slots=True)
class Share:
    """Pieces of up to `unit_bytes`: one that is received, one that is written, and some between them.

    In a crowd, one in all, now and then.
    """

    unit_bytes: int
    crowd: Crowd | None = None


SMALL_SHARE = Share(64 * 1024)


def _unseen(unit: bytearray) -> bool:
    """Whether there is no view of it: Python lets only such change their length."""
    try:
        unit.append(unit.pop())
    except BufferError:
        return False
    return True
