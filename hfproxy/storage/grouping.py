"""Many small writes, few commits and few statements."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  an item
Batch = Callable[[Connection, Sequence[I]], Sequence[T]]


class _Write(Protocol):
    async def __call__(self, work: Callable[[Connection], T]) -> T: ...


class GroupedWrites:
    """Puts the writes that wait while one commit runs into the next: a disk sync is paid by all of them together.

    Each waits until its own is committed.
    """

    def __init__(self, write: _Write) -> None:
        self._write = write
        self._waiting: dict[Batch[Any, Any], list[tuple[Any, asyncio.Future[Any]]]] = {}
        self._committing: asyncio.Task[None] | None = None

    async def add(self, work: Batch[I, T], item: I) -> T:
        """What `work` returns for this item among others, once it is committed. Raises StorageUnavailable."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(work, []).append((item, done))
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all(), name="commit grouped writes")
        return await done

    async def close(self) -> None:
        """Waits for what was added."""
        if self._committing is not None:
            await self._committing

    async def _commit_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # whoever is about to add one can still do so
            group, self._waiting = self._waiting, {}
            works = [(work, [item for item, _ in waiting]) for work, waiting in group.items()]
            waiting = [done for each in group.values() for _, done in each]
            try:
                results = await self._write(
                    lambda connection, works=works: [  # type: ignore[misc]
                        result for work, items in works for result in work(connection, items)
                    ]
                )
            except Exception as error:  # an edge: whoever waits gets it
                for done in waiting:
                    if not done.done():
                        done.set_exception(error)
            else:
                for done, result in zip(waiting, results, strict=True):
                    if not done.done():
                        done.set_result(result)
