"""Forgets names that nobody asked for in a long time, so that what is known of the Hub does not grow for ever.

They can all be asked again. What is pinned is kept: somebody wants it, also when the Hub is away.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Column, Connection, Select, Table, delete, func, select, tuple_

from hfproxy.beside import beside
from hfproxy.errors import StorageUnavailable
from hfproxy.storage.database import Database
from hfproxy.storage.pointer_tables import ANSWERS, FILES, PINS, REVISIONS, RIGHTS

log = structlog.get_logger(__name__)

# Each delete is a transaction of its own, in which nobody else writes.
_AT_ONCE = 2_000
_LOOK_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Nothing that was last said longer ago is kept, at most so many rows of a kind, and so much text."""

    older_than_s: float
    most_rows: int
    most_answer_bytes: int


@dataclass(frozen=True, slots=True)
class _Aged:
    """A table and the column that tells when a row was last said, in seconds since the epoch."""

    table: Table
    said_at_s: Column[float]


_AGED = (
    _Aged(FILES, FILES.c.noted_at_s),
    _Aged(REVISIONS, REVISIONS.c.checked_at_s),
    _Aged(RIGHTS, RIGHTS.c.said_at_s),
    _Aged(ANSWERS, ANSWERS.c.said_at_s),
)


async def forget_old_names(database: Database, bounds: Bounds) -> int:
    """Forgets the oldest, down to these bounds; how many rows went. Raises StorageUnavailable."""
    gone = 0
    for aged in _AGED:
        times = await database.read(partial(_times, questions=_one_too_many(aged, bounds)))
        gone += await _forget(database, aged, max(time.time() - bounds.older_than_s, *times, 0.0))
    return gone


def _times(connection: Connection, questions: Sequence[Select[Any]]) -> list[float]:
    return [said_at_s for asked in questions if (said_at_s := connection.execute(asked).scalar()) is not None]


def _one_too_many(aged: _Aged, bounds: Bounds) -> list[Select[Any]]:
    """Questions for when the youngest row was said that is one too many."""
    youngest = aged.said_at_s.desc()
    asked: list[Select[Any]] = [select(aged.said_at_s).order_by(youngest).offset(bounds.most_rows).limit(1)]
    if aged.table is ANSWERS:
        so_far = func.sum(func.length(ANSWERS.c.body)).over(order_by=(youngest, ANSWERS.c.digest)).label("so_far")
        running = select(aged.said_at_s, so_far).subquery()
        over = select(running.c.said_at_s).where(running.c.so_far > bounds.most_answer_bytes)
        asked.append(over.order_by(running.c.said_at_s.desc()).limit(1))
    return asked


async def _forget(database: Database, aged: _Aged, until_s: float) -> int:
    keys = aged.table.primary_key.columns
    unpinned = aged.table.c.repo.not_in(select(PINS.c.repo))
    old = select(*keys).where(aged.said_at_s <= until_s, unpinned).limit(_AT_ONCE)
    statement = delete(aged.table).where(tuple_(*keys).in_(old))

    def forget(connection: Connection) -> int:
        return connection.execute(statement).rowcount

    gone = 0
    while count := await database.write(forget, durable=False):
        gone += count
    return gone


@asynccontextmanager
async def old_names_forgotten(database: Database, bounds: Bounds) -> AsyncIterator[None]:
    """Forgets at once and every hour, for as long as the context lasts."""

    async def look() -> None:
        while True:
            try:
                if count := await forget_old_names(database, bounds):
                    log.info("pointers.forgotten", count=count)
            except StorageUnavailable as error:
                log.warning("pointers.unread", reason=error.detail)
            await asyncio.sleep(_LOOK_EVERY_S)

    async with beside(look(), name="forget old names"):
        yield
