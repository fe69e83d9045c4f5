"""What is known of the Hub's names does not grow for ever."""

import time
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, select

from hfproxy.storage.database import Database
from hfproxy.storage.old_names import Bounds, forget_old_names
from hfproxy.storage.opening import open_database
from hfproxy.storage.pins import pin
from hfproxy.storage.pointer_tables import ANSWERS, FILES, REVISIONS, RIGHTS
from hfproxy.storage.upserts import upsert
from tests.support.gateway import gateway_for
from tests.support.waiting import eventually

DAY_S = 86_400.0
TABLES = (FILES, REVISIONS, RIGHTS, ANSWERS)
MANY = Bounds(older_than_s=30 * DAY_S, most_rows=1_000_000, most_answer_bytes=1024**3)


async def know(database: Database, repo: str, *, days_ago: float, body: bytes = b"{}") -> None:
    """Has every kind of name known of a repository."""
    said_at_s = time.time() - days_ago * DAY_S
    commit: dict[str, Any] = {"repo": repo, "commit_hash": "c" * 40}
    given: dict[Table, dict[str, Any]] = {
        FILES: commit | {"path": "a", "etag": None, "is_lfs": False, "noted_at_s": said_at_s},
        REVISIONS: commit | {"revision": "main", "checked_at_s": said_at_s},
        RIGHTS: commit | {"audience": "everybody", "path": "", "said_at_s": said_at_s},
        ANSWERS: {"digest": repo, "repo": repo, "headers": "[]", "body": body, "said_at_s": said_at_s},
    }
    for table, row in given.items():
        full = {column.name: None for column in table.columns} | row
        await database.write(partial(_put, table=table, row=full))


def _put(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    connection.execute(upsert(connection, table), [row])


async def known(database: Database) -> list[list[str]]:
    """The repositories that are left, for each kind of name."""
    questions = [select(table.c.repo).order_by(table.c.repo) for table in TABLES]
    return await database.read(lambda it: [list(it.execute(asked).scalars()) for asked in questions])


async def test_the_old_and_the_too_many_go_and_what_is_pinned_stays(tmp_path: Path, database_url: str | None) -> None:
    async with open_database(tmp_path, database_url) as database:
        await know(database, "acme/pinned", days_ago=400)
        await pin(database, "acme/pinned")
        for number, days_ago in enumerate((40, 20, 10, 5)):
            await know(database, f"acme/{number}", days_ago=days_ago, body=bytes(1000))
        assert await forget_old_names(database, MANY) == 4
        assert await known(database) == [["acme/1", "acme/2", "acme/3", "acme/pinned"]] * 4

        two = Bounds(older_than_s=DAY_S * 30, most_rows=2, most_answer_bytes=10_000)
        assert await forget_old_names(database, two) == 4
        assert await known(database) == [["acme/2", "acme/3", "acme/pinned"]] * 4

        few = Bounds(older_than_s=DAY_S * 30, most_rows=10, most_answer_bytes=1500)
        assert await forget_old_names(database, few) == 1
        assert await known(database) == [["acme/2", "acme/3", "acme/pinned"]] * 3 + [["acme/3", "acme/pinned"]]
        assert await forget_old_names(database, few) == 0


async def test_a_gateway_forgets_them_and_an_offline_one_does_not(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        await know(database, "acme/old", days_ago=400)
        async with gateway_for("http://127.0.0.1:9", tmp_path, FILES__OFFLINE="true") as gateway:
            async with gateway.http.get(f"{gateway.url}/-/ready") as answer:
                assert answer.status == 200
            assert await known(database) == [["acme/old"]] * 4

        async with gateway_for("http://127.0.0.1:9", tmp_path):
            await eventually(lambda: known(database), lambda names: names == [[]] * 4)
