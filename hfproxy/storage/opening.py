"""Opens the database at the start: its folder, its journal, its tables."""

import asyncio
import importlib.util
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL

from hfproxy.errors import StorageUnavailable
from hfproxy.starting import CannotStart
from hfproxy.storage.database import PATIENCE_S, Database, database_url

FILE_NAME = "hfproxy.db"
MIGRATIONS = Path(__file__).parent / "migrations"
_VERSION_TABLE = "alembic_version"
_LOCK_NUMBER = 0x6866_7072_6F78_79  # "hfproxy": PostgreSQL's advisory locks have numbers for names
_JOURNAL_PATIENCE_S = 15
_SPARE_BYTES = 1024**2
_GIVEN_UP_BYTES = 256 * 1024


class DatabaseUnusable(CannotStart):
    """The database cannot be opened or migrated; the message says what to do."""


@asynccontextmanager
async def open_database(
    root: Path, url: str | None = None, *, patience_s: float = PATIENCE_S
) -> AsyncIterator[Database]:
    """The database in the folder `root`, or the one behind `url`, with all tables there. Raises DatabaseUnusable.

    patience_s: how long a server may take for a transaction once the tables are there. Any number of processes may
    open it at once: one migrates, the others wait for it.
    """
    if url is None:
        await asyncio.to_thread(_prepare_file, root)
        location = URL.create("sqlite", database=str(root / FILE_NAME))
    else:
        location = database_url(url)
        if importlib.util.find_spec("asyncpg") is None:
            raise DatabaseUnusable("PostgreSQL needs one more package: pip install 'hfproxy[postgres]'")
    database = Database(location)
    try:
        try:
            await database.write(_migrate)
        except StorageUnavailable as error:
            shown = location.render_as_string(hide_password=True)
            raise DatabaseUnusable(f"{error.detail} ({shown})") from error
        database.patience_s = patience_s
        if url is None:
            await asyncio.to_thread(_set_room_aside, root)
        yield database
    finally:
        await database.close()


def newest_version() -> str:
    """The schema that this hfproxy works with: the number of its newest migration."""
    return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _migrate(connection: Connection) -> None:
    """Brings the tables up to date, inside one transaction that no second process can be in."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
    found, known = _version(connection), newest_version()
    if found == known:
        return
    if found is not None and found > known:
        raise DatabaseUnusable(
            f"the database was written by a newer hfproxy (its schema is {found}, this one knows {known}): "
            "start that version, or go back to a copy of the database from before the upgrade"
        )
    _upgrade(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    version: str | None = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar()  # noqa: S608
    return version


def _upgrade(connection: Connection) -> None:
    # Imported where it is needed: most starts find nothing to migrate, and Alembic takes a while to import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _prepare_file(root: Path) -> None:
    """Makes the folder and the file, for this user's eyes only, with a log that lets readers read while one writes."""
    path = root / FILE_NAME
    try:
        root.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        try:
            _keep_a_write_ahead_log(path)
        except sqlite3.OperationalError:
            # SQLite makes two files before it reads the first word, and cannot on a full disk.
            if not (_is_full(root) and _give_room_up(root)):
                raise
            _keep_a_write_ahead_log(path)
    except OSError as error:
        raise DatabaseUnusable(
            f"{error.filename or root} cannot be written to ({error.strerror}): everything that is kept lies there. "
            "Let this user write to it, or name another folder with HFPROXY_STORAGE__ROOT"
        ) from error
    except sqlite3.Error as error:
        full = " (its disk is full)" if _is_full(root) else ""
        raise DatabaseUnusable(f"{path} cannot be used as a database: {error}{full}") from error


def _is_full(root: Path) -> bool:
    return shutil.disk_usage(root).free < _GIVEN_UP_BYTES


def _set_room_aside(root: Path) -> None:
    """Keeps a file for the starts on a full disk, of `serve` and of `cache prune`, each of which takes a part of it."""
    spare = _spare(root)
    with suppress(OSError):
        whole = spare.exists() and spare.stat().st_size == _SPARE_BYTES
        if not whole and shutil.disk_usage(root).free > 8 * _SPARE_BYTES:
            spare.touch(0o600)
            spare.write_bytes(os.urandom(_SPARE_BYTES))  # zeros take no room on some file systems


def _give_room_up(root: Path) -> bool:
    """Whether there was any."""
    spare = _spare(root)
    left_bytes = spare.stat().st_size if spare.exists() else 0
    if left_bytes:
        os.truncate(spare, max(0, left_bytes - _GIVEN_UP_BYTES))
    return left_bytes > 0


def _spare(root: Path) -> Path:
    return root / f"{FILE_NAME}-spare"


def _keep_a_write_ahead_log(path: Path) -> None:
    """The file remembers it once set. Setting it does not wait for other processes (sqlite.org/wal.html), so we do."""
    until = time.monotonic() + _JOURNAL_PATIENCE_S
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.05)
    finally:
        connection.close()
