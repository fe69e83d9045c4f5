"""The trail finds what it is asked for, and lets nobody change it, on both engines."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from hfproxy.downstream.access import Caller, Role
from hfproxy.errors import StorageUnavailable
from hfproxy.features.audit.models import AuditQuery
from hfproxy.features.audit.store import AuditStore, Deed, Result
from hfproxy.storage.database import Database
from hfproxy.storage.opening import open_database
from hfproxy.upstream.refs import RepoRef, RepoType

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CI = Caller("ci", Role.WRITER, "key", "k1", None, "203.0.113.7")
BOB = Caller("anonymous", Role.ADMIN)


def model(repo_id: str) -> RepoRef:
    return RepoRef.parse(RepoType.MODEL, repo_id)


@pytest.fixture
async def database(tmp_path: Path, database_url: str | None) -> AsyncIterator[Database]:
    async with open_database(tmp_path, database_url) as opened:
        yield opened


@pytest.fixture
async def store(database: Database) -> AsyncIterator[AuditStore]:
    store = AuditStore(database)
    deeds = [
        (Deed("repo.create", CI, model("Acme/One"), None, {"private": True}, "r1"), Result("done", 200)),
        (Deed("repo.create", BOB, model("two")), Result("done", 200, made=model("alice/two"))),
        (Deed("repo.move", CI, model("acme/one"), model("bob/three")), Result("refused", 403, "HubRefused")),
        (Deed("repo.delete", BOB, RepoRef(RepoType.DATASET, "acme", "a_b")), None),
        (Deed("repo.delete", BOB, model("acme/axb")), Result("unknown", 504, "HubSlow")),
    ]
    for number, (deed, result) in enumerate(deeds):
        write_id = await store.begin(deed, NOON + timedelta(hours=number))
        if result is not None:
            await store.end(write_id, result, NOON + timedelta(hours=number, seconds=1))
    yield store


async def numbers(store: AuditStore, **query: object) -> list[int]:
    return [int(write.id) for write in (await store.page(AuditQuery.model_validate(query))).writes]


async def test_a_write_is_told_whole(store: AuditStore) -> None:
    first = (await store.page(AuditQuery())).writes[-1]
    assert first.model_dump() == {
        "id": "1",
        "at": NOON,
        "caller": "ci",
        "caller_kind": "key",
        "caller_id": "k1",
        "address": "203.0.113.7",
        "request_id": "r1",
        "action": "repo.create",
        "type": "model",
        "repo": "Acme/One",
        "new_repo": None,
        "asked": {"private": True},
        "outcome": "done",
        "status": 200,
        "code": None,
        "finished_at": NOON + timedelta(seconds=1),
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"repo": "acme/one"}, [3, 1]),
        ({"repo": "ACME/ONE"}, [3, 1]),
        ({"repo": "bob/three"}, [3]),
        ({"repo": "alice/two"}, [2]),
        ({"repo": "acme/*"}, [5, 4, 3, 1]),
        ({"repo": "acme/a_b"}, [4]),
        ({"repo": "a%"}, []),
        ({"repo": "acme/*", "type": "dataset"}, [4]),
        ({"caller": "ci"}, [3, 1]),
        ({"action": "repo.delete"}, [5, 4]),
        ({"outcome": "unknown"}, [5, 4]),
        ({"outcome": "done"}, [2, 1]),
        ({"outcome": "refused", "caller": "anonymous"}, []),
        ({"since": NOON + timedelta(hours=3)}, [5, 4]),
        ({"until": NOON + timedelta(hours=1)}, [1]),
        ({"since": "2026-03-01T13:00:00", "until": "2026-03-01T15:00:00+00:00"}, [3, 2]),
        ({"since": "2026-03-02"}, []),
    ],
)
async def test_what_a_filter_means(store: AuditStore, query: dict[str, object], found: list[int]) -> None:
    assert await numbers(store, **query) == found


async def test_pages_hold_each_write_once_though_new_ones_come(store: AuditStore) -> None:
    seen, cursor = [], None
    while True:
        page = await store.page(AuditQuery(limit=2, cursor=cursor))
        seen += [int(write.id) for write in page.writes]
        await store.begin(Deed("repo.create", CI, model("acme/new")), NOON)
        if (cursor := page.next) is None:
            break
    assert seen == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("table", ["audit_writes", "audit_outcomes"])
@pytest.mark.parametrize("change", ["UPDATE {} SET at = at", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_nobody_changes_or_deletes_a_row(store: AuditStore, database: Database, table: str, change: str) -> None:
    if "TRUNCATE" in change and database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    with pytest.raises((StorageUnavailable, IntegrityError), match="only ever added to"):
        async with database.writing() as connection:
            await connection.execute(text(change.format(table)))
    assert await numbers(store) == [5, 4, 3, 2, 1]


async def test_sqlites_insert_or_replace_replaces_nothing(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        store = AuditStore(database)
        await store.begin(Deed("repo.create", CI, model("acme/one")), NOON)
        with pytest.raises((StorageUnavailable, IntegrityError), match="only ever added to"):
            async with database.writing() as connection:
                await connection.execute(text("INSERT OR REPLACE INTO audit_writes SELECT * FROM audit_writes"))
