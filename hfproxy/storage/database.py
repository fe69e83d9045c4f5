"""The database: one engine over SQLite (a file beside everything else that is kept) or PostgreSQL.

How a feature keeps something here:

1. it defines its tables in its own `tables.py` with `Table("name", METADATA, ...)`, times as `UtcTime()`;
2. a migration in `migrations/versions/` makes them: the next number, `down_revision` the number before it;
3. its store is given the `Database` (`app[DATABASE]`) and speaks SQLAlchemy Core:

       async with database.reading() as connection:
           rows = (await connection.execute(select(KEYS))).all()
       async with database.writing() as connection:              # one transaction, committed at the end
           await connection.execute(insert(KEYS).values(...))

A test keeps 1 and 2 equal, on both engines. `open_database` migrates, so that a feature finds its tables.

What `writing()` has committed survives a power cut: SQLite syncs its log to the disk at each commit
(`synchronous=FULL`). `writing(durable=False)` is for what may be forgotten, such as when something was last used, or
can be asked for again: it costs no sync, and survives a crash of the process, but not of the machine.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, MetaData, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

from hfproxy.errors import StorageUnavailable

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

# How long a transaction waits for another process that writes to the same SQLite file.
_SQLITE_BUSY_TIMEOUT_MS = 15_000
_POOL_TIMEOUT_S = 15
_WRITES = "hfproxy_writes"
_DURABLE = "hfproxy_durable"


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
    """Transactions on one database. `writing` is one at a time on SQLite, which knows no other way.

    Both raise StorageUnavailable when the database cannot be used; IntegrityError passes, since it is an answer.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._one_writer = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one state of the database and changes nothing."""
        async with _told_as_ours(), self.engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, *, durable: bool = True) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end, or rolled back by an exception."""
        if self._sqlite:
            async with self._one_writer, self._transaction(durable) as connection:
                yield connection
        else:
            async with self._transaction(durable) as connection:
                yield connection

    @asynccontextmanager
    async def _transaction(self, durable: bool) -> AsyncIterator[AsyncConnection]:
        async with _told_as_ours(), self.engine.connect() as connection:
            await connection.execution_options(**{_WRITES: True, _DURABLE: durable})
            async with connection.begin():
                if not self._sqlite and not durable:
                    await connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                yield connection


@asynccontextmanager
async def _told_as_ours() -> AsyncIterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, NoConnectionFree, OSError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise StorageUnavailable(f"the gateway's database cannot be used: {str(reason).splitlines()[0]}") from error


def database_url(url: str) -> URL:
    """An operator's URL with the async driver that we use for it."""
    parsed = make_url(url)
    if parsed.get_backend_name() in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+asyncpg")
    return parsed.set(drivername="sqlite+aiosqlite")


def create_engine(url: URL) -> AsyncEngine:
    """An engine that is not connected yet. Raises ImportError where the driver is not installed."""
    if url.get_backend_name() != "sqlite":
        return create_async_engine(
            url, pool_size=10, max_overflow=10, pool_timeout=_POOL_TIMEOUT_S, pool_pre_ping=True, hide_parameters=True
        )
    engine = create_async_engine(url, pool_size=5, max_overflow=5, pool_timeout=_POOL_TIMEOUT_S, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Transactions are ours to begin: the driver's own habit begins them late, and never for reading.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_SQLITE_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get(_WRITES):
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if options[_DURABLE] else 'NORMAL'}")
    # A transaction that reads first and writes later would fail at once, without waiting, if another writer came
    # between: so it says at its start that it will write.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
