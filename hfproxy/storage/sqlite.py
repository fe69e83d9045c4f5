"""SQLite: its connections as we want them, and threads that run whole transactions on them."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from hfproxy.unstoppable import end_of

T = TypeVar("T")

# Execution options that `BEGIN` is made after.
WRITES: Final = "hfproxy_writes"
DURABLE: Final = "hfproxy_durable"
# How long a transaction waits for another process that writes to the same file.
_BUSY_TIMEOUT_MS = 15_000
_READERS = 4
_SYNCHRONOUS = "hfproxy_synchronous"


class SqliteThreads:
    """Transactions run as a whole in threads, one of which writes.

    A caller who is cancelled waits for the end of what was begun: a thread cannot be stopped. They raise
    FileNotFoundError once the file is not the one that was opened: into one that was deleted, moved or replaced
    SQLite goes on writing, nobody will ever read it, and what others write under its name is not seen.
    """

    def __init__(self, url: URL) -> None:
        self._path = Path(url.database or "")
        self._file: tuple[int, int] | None = None
        self._engine = create_engine(url, pool_size=_READERS + 1, max_overflow=0, hide_parameters=True)
        set_up(self._engine)
        self._writer: Connection | None = None
        self._reading = ThreadPoolExecutor(_READERS, thread_name_prefix="database reads")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="database writes")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns."""

        def run() -> T:
            self._require_same_file()
            with self._engine.connect() as connection:
                return work(connection)

        return await _outcome_of(self._reading, run)

    async def write(self, work: Callable[[Connection], T], *, durable: bool) -> T:
        """What `work` returns, once it is committed."""

        def run() -> T:
            self._require_same_file()
            if self._writer is None:
                self._writer = self._engine.connect()
            self._writer.execution_options(**{WRITES: True, DURABLE: durable})
            with self._writer.begin():
                return work(self._writer)

        return await _outcome_of(self._writing, run)

    def _require_same_file(self) -> None:
        found = None
        with suppress(FileNotFoundError):
            status = self._path.stat()
            found = status.st_dev, status.st_ino
        if self._file is None:
            self._file = found
        elif found != self._file:
            raise FileNotFoundError(
                f"{self._path} was deleted, moved or replaced while it was in use; put it back, or restart the gateway"
            )

    def close(self) -> None:
        """Waits for what runs; blocks."""
        self._reading.shutdown()
        self._writing.shutdown()
        if self._writer is not None:
            self._writer.close()
        self._engine.dispose()


def keeps_locked(error: OperationalError) -> bool:
    """Whether it says that another process kept the database locked for as long as we wait."""
    reason = error.orig
    return isinstance(reason, sqlite3.Error) and reason.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


async def _outcome_of(pool: ThreadPoolExecutor, run: Callable[[], T]) -> T:
    return await end_of(asyncio.get_running_loop().run_in_executor(pool, run))


def set_up(engine: Engine) -> None:
    """Makes an engine open connections and begin transactions as we want it."""
    event.listen(engine, "connect", _set_up_connection)
    event.listen(engine, "begin", _begin)


def _set_up_connection(connection: Any, _record: object) -> None:
    # Transactions are ours to begin: the driver's own habit begins them late, and never for reading.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get(WRITES):
        _begin_to_read(connection)
        return
    wanted = "FULL" if options[DURABLE] else "NORMAL"
    if connection.info.get(_SYNCHRONOUS) != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous = {wanted}")
        connection.info[_SYNCHRONOUS] = wanted
    # A transaction that reads first and writes later would fail at once, without waiting, if another writer came
    # between: so it says at its start that it will write.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_to_read(connection: Connection) -> None:
    """By the driver's own cursor: as a statement of SQLAlchemy it took as long as the whole of a short reading."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute("BEGIN")
    except sqlite3.Error as error:
        raise OperationalError("BEGIN", None, error) from error
    finally:
        cursor.close()
