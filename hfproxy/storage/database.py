"""The database: SQLite (a file beside everything else that is kept) or PostgreSQL.

How a feature keeps something here:

1. it defines its tables in its own `tables.py` with `Table("name", METADATA, ...)`, times as `UtcTime()`;
2. a migration in `migrations/versions/` makes them: the next number, `down_revision` the number before it;
3. its store is given the `Database` (`app[DATABASE]`) and hands it functions of a connection, in SQLAlchemy Core:

       await database.read(lambda connection: connection.execute(select(KEYS)).all())
       await database.write(lambda connection: connection.execute(insert(KEYS), row))   # one transaction, committed

A test keeps 1 and 2 equal, on both engines. `open_database` migrates, so that a feature finds its tables.

What `write` has committed survives a power cut: SQLite syncs its log to the disk at each commit (`synchronous=FULL`).
`durable=False` is for what may be forgotten, such as when something was last used, or can be asked for again: it costs
no sync, and survives a crash of the process, but not of the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import DateTime, Dialect, MetaData
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.types import TypeDecorator

from hfproxy.errors import StorageUnavailable
from hfproxy.storage.grouping import Batch, GroupedWrites
from hfproxy.storage.sqlite import DURABLE, WRITES, SqliteThreads, keeps_locked, set_up

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine  # not needed for SQLite, and slow to import

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  an item
Work = Callable[[Connection], T]

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every table of every feature."""

# A server that has not answered for so long is taken for lost, and then left alone for a while, so that not every
# caller waits for it.
PATIENCE_S = 15.0
_AWAY_FOR_S = 3.0
_SILENT = "the server does not answer"


class UtcTime(TypeDecorator[datetime]):
    """An aware `datetime`, kept in UTC on both engines; SQLite's text sorts as the times do."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """Transactions on one database. Those that write are one at a time on SQLite, which knows no other way.

    All raise StorageUnavailable when the database cannot be used; IntegrityError passes, since it is an answer.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self.patience_s: float | None = None
        """How long a transaction on a server may take; None: as long as it likes, as migrations may."""
        self.unwritten: str | None = None
        """Why the last transaction that should have been written was not; None if it was."""
        self._away_until = 0.0
        self._threads = SqliteThreads(url) if url.get_backend_name() == "sqlite" else None
        self._one_writer = asyncio.Lock()
        self._refusals = 0
        self._shared = GroupedWrites(self.write)

    @property
    def is_server(self) -> bool:
        """Whether other machines may share it."""
        return self._threads is None

    async def read(self, work: Work[T]) -> T:
        """What `work` returns, values and no open results; it sees one state of the database and changes nothing.

        On SQLite it runs in a thread, as a whole: a hop for each statement costs far more than the statement.
        """
        with _told_as_ours():
            if self._threads is not None:
                return await self._threads.read(work)
            async with self._in_time(), self.engine.connect() as connection:
                return await connection.run_sync(work)

    async def write(self, work: Work[T], *, durable: bool = True) -> T:
        """The same in a transaction that is committed when this returns, and rolled back if `work` raises."""
        if self._threads is not None:
            with self._remembered(), _told_as_ours():
                refusals = self._refusals
                async with self._one_writer:
                    # Whoever waited in line meanwhile is not made to wait as long again, one after the other.
                    if self._refusals != refusals:
                        raise TimeoutError("another process keeps it locked")
                    try:
                        return await self._threads.write(work, durable=durable)
                    except OperationalError as error:
                        self._refusals += keeps_locked(error)
                        raise
        async with self._transaction(durable) as connection:
            return await connection.run_sync(work)

    async def write_with_others(self, work: Batch[I, T], item: I) -> T:
        """What `work` makes of this item, in one transaction with all who write this way at the same time.

        They share its disk sync and its statements: `work` is called once, with the items of all who gave the same
        one, and returns a value for each. One that fails fails all: for plain inserts and deletes, which fail only
        where the database does.
        """
        return await self._shared.add(work, item)

    async def close(self) -> None:
        """Waits for what was begun, and closes all connections."""
        await self._shared.close()
        if self._threads is not None:
            await asyncio.to_thread(self._threads.close)
        if "engine" in self.__dict__:
            await self.engine.dispose()

    @cached_property
    def engine(self) -> AsyncEngine:
        """The engine behind `reading` and `writing`, and behind all on PostgreSQL."""
        return _async_engine(self._url)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """As `read`, for code that awaits something else between its statements."""
        with _told_as_ours():
            async with self._in_time(), self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self, *, durable: bool = True) -> AsyncIterator[AsyncConnection]:
        """As `write`, for code that awaits something else between its statements."""
        if self._threads is not None:
            async with self._one_writer, self._transaction(durable) as connection:
                yield connection
        else:
            async with self._transaction(durable) as connection:
                yield connection

    @asynccontextmanager
    async def _transaction(self, durable: bool) -> AsyncIterator[AsyncConnection]:
        with self._remembered(), _told_as_ours():
            async with self._in_time(), self.engine.connect() as connection:
                await connection.execution_options(**{WRITES: True, DURABLE: durable})
                async with connection.begin():
                    if self._threads is None and not durable:
                        await connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                    yield connection

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        try:
            yield
        except StorageUnavailable as error:
            self.unwritten = error.detail
            raise
        self.unwritten = None

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Bounds how long a server that hangs is waited for, by all callers together."""
        if monotonic() < self._away_until:
            raise TimeoutError(_SILENT)
        try:
            async with asyncio.timeout(self.patience_s if self.is_server else None):
                yield
        except TimeoutError as error:
            self._away_until = monotonic() + _AWAY_FOR_S
            raise TimeoutError(_SILENT) from error


@contextmanager
def _told_as_ours() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, NoConnectionFree, OSError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise StorageUnavailable(f"the gateway's database cannot be used: {str(reason).splitlines()[0]}") from error


def database_url(url: str) -> URL:
    """An operator's URL with the driver that we use for it."""
    parsed = make_url(url)
    if parsed.get_backend_name() in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+asyncpg")
    return parsed.set(drivername="sqlite")


def _async_engine(url: URL) -> AsyncEngine:
    from sqlalchemy.ext.asyncio import create_async_engine  # see above

    if url.get_backend_name() != "sqlite":
        return create_async_engine(
            url, pool_size=10, max_overflow=10, pool_timeout=PATIENCE_S, pool_pre_ping=True, hide_parameters=True
        )
    url = url.set(drivername="sqlite+aiosqlite")
    engine = create_async_engine(url, pool_size=5, max_overflow=5, pool_timeout=PATIENCE_S, hide_parameters=True)
    set_up(engine.sync_engine)
    return engine
