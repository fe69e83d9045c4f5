"""The database holds its promises on SQLite and on PostgreSQL."""

import asyncio
import importlib
import os
import pkgutil
import sqlite3
import stat
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

import hfproxy.app
from hfproxy.errors import StorageUnavailable
from hfproxy.features.access.tables import KEYS
from hfproxy.storage.database import METADATA, Database
from hfproxy.storage.opening import FILE_NAME, MIGRATIONS, DatabaseUnusable, newest_version, open_database
from tests.support.mounts import fill_up, small_disk

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def key(name: str, **columns: object) -> dict[str, object]:
    return {"id": name, "name": name, "secret_hash": f"hash of {name}", "role": "reader", "created_at": NOW, **columns}


async def test_the_migrations_make_the_tables_that_the_code_defines(tmp_path: Path, database_url: str | None) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))

    for module in pkgutil.walk_packages(hfproxy.__path__, "hfproxy."):
        if module.name.endswith((".tables", "_tables")):
            importlib.import_module(module.name)
    async with open_database(tmp_path, database_url) as database, database.reading() as connection:
        assert await connection.run_sync(differences) == []


def test_the_migrations_stand_in_one_line_and_are_named_by_their_number() -> None:
    scripts = list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())
    numbers = [script.revision for script in reversed(scripts)]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert numbers[-1] == newest_version()
    assert all(Path(script.path).name.startswith(script.revision) for script in scripts)


async def test_what_was_written_is_read_again_after_a_restart(tmp_path: Path, database_url: str | None) -> None:
    elsewhere = datetime(2026, 3, 1, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    async with open_database(tmp_path, database_url) as database, database.writing() as connection:
        await connection.execute(insert(KEYS).values(key("a", expires_at=elsewhere)))
    async with open_database(tmp_path, database_url) as database, database.reading() as connection:
        row = (await connection.execute(select(KEYS))).one()
    assert (row.name, row.created_at, row.expires_at, row.revoked_at) == ("a", NOW, elsewhere, None)
    assert row.expires_at.utcoffset() == timedelta(0)


async def test_an_exception_takes_a_whole_transaction_back(tmp_path: Path, database_url: str | None) -> None:
    async with open_database(tmp_path, database_url) as database:
        with pytest.raises(RuntimeError):
            async with database.writing() as connection:
                await connection.execute(insert(KEYS).values(key("a")))
                raise RuntimeError
        async with database.reading() as connection:
            assert (await connection.execute(select(func.count()).select_from(KEYS))).scalar() == 0


async def test_an_exception_takes_the_work_of_one_hop_back(tmp_path: Path, database_url: str | None) -> None:
    def add_and_fail(connection: Connection) -> None:
        connection.execute(insert(KEYS), key("a"))
        raise RuntimeError

    async with open_database(tmp_path, database_url) as database:
        with pytest.raises(RuntimeError):
            await database.write(add_and_fail)
        assert await database.read(names) == []
        await database.write(lambda connection: connection.execute(insert(KEYS), key("b")))
        assert await database.read(names) == ["b"]


async def test_a_caller_who_is_cancelled_loses_no_write_and_no_connection(
    tmp_path: Path, database_url: str | None
) -> None:
    async with open_database(tmp_path, database_url) as database:
        for number in range(30):
            row = key(str(number))
            writing = asyncio.create_task(database.write(partial(add_key, row=row)))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        await database.write(partial(add_key, row=key("last")))
        assert (await database.read(names))[-1] == "last"


async def test_writes_that_share_a_commit_are_each_told_their_own(tmp_path: Path, database_url: str | None) -> None:
    def add(connection: Connection, rows: Sequence[dict[str, object]]) -> Sequence[str]:
        groups.append(len(rows))
        connection.execute(insert(KEYS), rows)
        return [f"kept {row['name']}" for row in rows]

    groups: list[int] = []
    async with open_database(tmp_path, database_url) as database:
        told = await asyncio.gather(*(database.write_with_others(add, key(str(number))) for number in range(50)))
        assert told == [f"kept {number}" for number in range(50)]
        assert len(await database.read(names)) == sum(groups) == 50
        assert len(groups) < 5
        with pytest.raises(IntegrityError):
            await database.write_with_others(add, key("1"))
        assert await database.write_with_others(add, key("next")) == "kept next"


def names(connection: Connection) -> Sequence[str]:
    return connection.execute(select(KEYS.c.name).order_by(KEYS.c.name)).scalars().all()


def add_key(connection: Connection, row: dict[str, object]) -> None:
    connection.execute(insert(KEYS), row)


@pytest.mark.parametrize("durable", [True, False])
async def test_many_works_that_read_and_then_write_lose_nothing(
    tmp_path: Path, database_url: str | None, durable: bool
) -> None:
    def add_one(connection: Connection) -> None:
        role = connection.execute(select(KEYS.c.role).with_for_update()).scalar_one()
        connection.execute(update(KEYS).values(role=str(int(role) + 1)))

    async with open_database(tmp_path, database_url) as database, open_database(tmp_path, database_url) as another:
        await database.write(partial(add_key, row=key("a", role="0")))
        await asyncio.gather(*(each.write(add_one, durable=durable) for each in [database, another] * 20))
        assert await database.read(lambda connection: connection.execute(select(KEYS.c.role)).scalar_one()) == "40"


@pytest.mark.parametrize("durable", [True, False])
async def test_many_tasks_that_read_and_then_write_lose_nothing(
    tmp_path: Path, database_url: str | None, durable: bool
) -> None:
    async def add_one(database: Database) -> None:
        async with database.writing(durable=durable) as connection:
            role = (await connection.execute(select(KEYS.c.role).with_for_update())).scalar_one()
            await connection.execute(update(KEYS).values(role=str(int(role) + 1)))

    async with open_database(tmp_path, database_url) as database, open_database(tmp_path, database_url) as another:
        async with database.writing() as connection:
            await connection.execute(insert(KEYS).values(key("a", role="0")))
        await asyncio.gather(*(add_one(each) for each in [database, another] * 20))
        async with database.reading() as connection:
            assert (await connection.execute(select(KEYS.c.role))).scalar_one() == "40"


async def test_a_name_is_free_again_once_its_key_is_revoked(tmp_path: Path, database_url: str | None) -> None:
    async with open_database(tmp_path, database_url) as database:
        async with database.writing() as connection:
            await connection.execute(insert(KEYS).values(key("a", revoked_at=NOW)))
            await connection.execute(insert(KEYS).values(key("b") | {"name": "a"}))
        with pytest.raises(IntegrityError):
            async with database.writing() as connection:
                await connection.execute(insert(KEYS).values(key("c") | {"name": "a"}))


OPEN = """
import asyncio, sys
from pathlib import Path
from hfproxy.storage.opening import open_database
async def main():
    async with open_database(Path(sys.argv[1]), sys.argv[2] or None):
        print("open")
asyncio.run(main())
"""


async def test_processes_that_start_at_once_migrate_once(tmp_path: Path, database_url: str | None) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", OPEN, str(tmp_path), database_url or "", stdout=-1, stderr=-1
        )
        for _ in range(4)
    ]
    said = await asyncio.gather(*(process.communicate() for process in processes))
    assert [out for out, _ in said] == [b"open\n"] * 4, said
    async with open_database(tmp_path, database_url) as database, database.reading() as connection:
        versions = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
    assert versions == [newest_version()]


async def test_a_newer_schema_is_told_and_left_alone(tmp_path: Path, database_url: str | None) -> None:
    async with open_database(tmp_path, database_url) as database, database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnusable, match=r"written by a newer hfproxy.*9999"):
        async with open_database(tmp_path, database_url):
            pass


async def test_a_database_is_opened_on_a_disk_that_became_full(tmp_path: Path) -> None:
    with small_disk(tmp_path, 24 * 1024**2):
        async with open_database(tmp_path):
            pass
        for _ in range(3):  # and each time other programs take what it gave up
            filler = fill_up(tmp_path)
            async with open_database(tmp_path) as database, database.reading() as connection:
                assert (await connection.execute(select(func.count()).select_from(KEYS))).scalar() == 0
        filler.unlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_is_not_ours_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DatabaseUnusable, match=r"cannot be written to .*HFPROXY_STORAGE__ROOT"):
        async with open_database(tmp_path):
            pass


async def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(DatabaseUnusable, match=r"cannot be written to .*HFPROXY_STORAGE__ROOT"):
        async with open_database(tmp_path / "root"):
            pass


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"something else entirely, and long enough" * 100)
    with pytest.raises(DatabaseUnusable, match="not a database"):
        async with open_database(tmp_path):
            pass


async def test_a_server_that_does_not_answer_is_told_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable) as told:
        async with open_database(tmp_path, "postgresql://me:secret-word@127.0.0.1:1/name"):
            pass
    assert "127.0.0.1" in str(told.value)
    assert "secret-word" not in str(told.value)


async def test_the_file_is_for_its_owner_only_and_keeps_a_write_ahead_log(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database, database.writing(durable=True) as connection:
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar() == 2  # FULL
        for path in tmp_path.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_what_is_durable_is_synced_whatever_was_written_before(tmp_path: Path) -> None:
    def level(connection: Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())

    async with open_database(tmp_path) as database:
        levels = [await database.write(level, durable=durable) for durable in (True, False, True, True, False, True)]
    assert levels == [2, 1, 2, 2, 1, 2]  # FULL and NORMAL


@pytest.mark.parametrize("by_another", [True, False])
async def test_a_file_that_is_not_the_one_that_was_opened_takes_and_gives_nothing(
    by_another: bool, tmp_path: Path
) -> None:
    """SQLite would go on with a file that nobody will read again: what was confirmed would be lost at a restart."""
    file, kept = tmp_path / FILE_NAME, tmp_path / "kept"
    async with open_database(tmp_path) as database:
        file.rename(kept)
        if by_another:
            file.touch()
        with pytest.raises(StorageUnavailable, match="deleted, moved or replaced"):
            await database.write(partial(add_key, row=key("a")))
        with pytest.raises(StorageUnavailable, match="deleted, moved or replaced"):
            await database.read(names)
        kept.replace(file)
        await database.write(partial(add_key, row=key("b")))
        assert await database.read(names) == ["b"]


async def test_writers_that_wait_for_another_process_give_up_together(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        await database.write(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout = 20").scalar())
        with sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            writes = (database.write(partial(add_key, row=key(name))) for name in "abc")
            refusals = [str(refusal) for refusal in await asyncio.gather(*writes, return_exceptions=True)]
            other.execute("ROLLBACK")
        other.close()
        assert ["database is locked" in refusal for refusal in refusals] == [True, False, False]
        assert ["another process keeps it locked" in refusal for refusal in refusals] == [False, True, True]
        await database.write(partial(add_key, row=key("d")))
        assert await database.read(names) == ["d"]


async def test_a_broken_database_is_a_503_of_ours(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        with sqlite3.connect(tmp_path / FILE_NAME) as other:
            other.execute("DROP TABLE gateway_keys")
        other.close()
        with pytest.raises(StorageUnavailable):
            async with database.reading() as connection:
                await connection.execute(select(KEYS))
        with pytest.raises(StorageUnavailable):
            await database.read(names)
        with pytest.raises(StorageUnavailable):
            await database.write(partial(add_key, row=key("a")))
