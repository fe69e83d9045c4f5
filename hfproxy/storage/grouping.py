"""Many small writes, few commits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from hfproxy.storage.database import Database

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


class GroupedWrites:
    """Puts the writes that wait while one commit runs into the next: a disk sync is paid by all of them together.

    Each waits until its own is committed. A transaction is shared, so a write that fails fails its neighbours too:
    for plain inserts, which fail only where the database does.
    """

    def __init__(self, database: Database, *, durable: bool = True) -> None:
        self._database, self._durable = database, durable
        self._waiting: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def add(self, work: Work[T]) -> T:
        """What `work` returns, once it is committed. Raises StorageUnavailable."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all(), name="commit grouped writes")
        return await done

    async def close(self) -> None:
        """Waits for what was added."""
        if self._committing is not None:
            await self._committing

    async def _commit_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            results: list[Any] | BaseException
            (results,) = await asyncio.gather(self._commit([work for work, _ in group]), return_exceptions=True)
            for number, (_, done) in enumerate(group):
                if done.cancelled():
                    continue
                if isinstance(results, BaseException):
                    done.set_exception(results)
                else:
                    done.set_result(results[number])

    async def _commit(self, group: list[Work[Any]]) -> list[Any]:
        async with self._database.writing(durable=self._durable) as connection:
            return [await work(connection) for work in group]
