"""Where the audit trail is kept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, or_, select
from sqlalchemy.sql.elements import ColumnElement

from hfproxy.downstream.access import Caller
from hfproxy.features.audit.models import AuditPage, AuditQuery, AuditWrite, Outcome
from hfproxy.features.audit.tables import OUTCOMES, WRITES
from hfproxy.storage.database import Database
from hfproxy.upstream.refs import RepoRef

_UNKNOWN = "unknown"
_BEGIN = insert(WRITES).returning(WRITES.c.id, sort_by_parameter_order=True)
_END = insert(OUTCOMES)
_SHOWN = select(
    WRITES, OUTCOMES.c.at.label("finished_at"), OUTCOMES.c.status, OUTCOMES.c.code, OUTCOMES.c.made_repo_id,
    func.coalesce(OUTCOMES.c.outcome, _UNKNOWN).label("outcome"),
).select_from(WRITES.outerjoin(OUTCOMES, OUTCOMES.c.write_id == WRITES.c.id))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody is about to do. asked: plain settings, never secrets."""

    action: str
    caller: Caller
    repo: RepoRef | None = None
    new_repo: RepoRef | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    outcome: Outcome
    status: int | None = None
    code: str | None = None
    made: RepoRef | None = None


class AuditStore:
    """The trail in the database: rows are added, found and nothing else."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, deed: Deed, at: datetime) -> int:
        """Keeps what is about to be done, on the disk when this returns. Raises StorageUnavailable."""
        row = {
            "at": at,
            "request_id": deed.request_id,
            "caller_kind": deed.caller.kind,
            "caller": deed.caller.name,
            "caller_id": deed.caller.id,
            "address": deed.caller.address,
            "action": deed.action,
            "repo_type": deed.repo.repo_type.value if deed.repo is not None else None,
            **_names("repo", deed.repo),
            **_names("new_repo", deed.new_repo),
            "asked": json.dumps(dict(deed.asked)) if deed.asked else None,
        }

        return await self._database.write_with_others(_begin, row)

    async def end(self, write_id: int, result: Result, at: datetime) -> None:
        """Keeps what came of it. Raises StorageUnavailable."""
        row = {
            "write_id": write_id,
            "at": at,
            "outcome": result.outcome,
            "status": result.status,
            "code": result.code,
            **_names("made_repo", result.made),
        }
        await self._database.write_with_others(_end, row)

    async def page(self, query: AuditQuery) -> AuditPage:
        """The writes that the query means, the newest first. Raises StorageUnavailable."""
        rows = await self._database.read(lambda connection: connection.execute(_selected(query)).all())
        shown = rows[: query.limit]
        more = len(rows) > query.limit
        return AuditPage(writes=[_write(row) for row in shown], next=str(shown[-1].id) if more else None)


def _begin(connection: Connection, rows: Sequence[dict[str, Any]]) -> Sequence[int]:
    return connection.execute(_BEGIN, rows).scalars().all()


def _end(connection: Connection, rows: Sequence[dict[str, Any]]) -> Sequence[None]:
    connection.execute(_END, rows)
    return [None] * len(rows)


def _names(column: str, ref: RepoRef | None) -> dict[str, str | None]:
    return {
        f"{column}_id": ref.repo_id if ref is not None else None,
        f"{column}_folded": ref.folded.repo_id if ref is not None else None,
    }


def _selected(query: AuditQuery) -> Select[Any]:
    wanted: list[ColumnElement[bool]] = []
    if query.repo is not None:
        wanted.append(_about(query.repo.casefold()))
    if query.type is not None:
        wanted.append(WRITES.c.repo_type == query.type)
    if query.caller is not None:
        wanted.append(WRITES.c.caller == query.caller)
    if query.action is not None:
        wanted.append(WRITES.c.action == query.action)
    if query.outcome is not None:
        wanted.append(func.coalesce(OUTCOMES.c.outcome, _UNKNOWN) == query.outcome)
    if query.since is not None:
        wanted.append(WRITES.c.at >= query.since)
    if query.until is not None:
        wanted.append(WRITES.c.at < query.until)
    if query.cursor is not None:
        wanted.append(WRITES.c.id < int(query.cursor))
    return _SHOWN.where(*wanted).order_by(WRITES.c.id.desc()).limit(query.limit + 1)


def _about(repo: str) -> ColumnElement[bool]:
    columns = (WRITES.c.repo_folded, WRITES.c.new_repo_folded, OUTCOMES.c.made_repo_folded)
    if repo.endswith("/*"):
        return or_(*(column.startswith(repo[:-1], autoescape=True) for column in columns))
    return or_(*(column == repo for column in columns))


def _write(row: Row[Any]) -> AuditWrite:
    return AuditWrite(
        id=str(row.id),
        at=row.at,
        caller=row.caller,
        caller_kind=row.caller_kind,
        caller_id=row.caller_id,
        address=row.address,
        request_id=row.request_id,
        action=row.action,
        type=row.repo_type,
        repo=row.made_repo_id or row.repo_id,
        new_repo=row.new_repo_id,
        asked=json.loads(row.asked) if row.asked is not None else {},
        outcome=row.outcome,
        status=row.status,
        code=row.code,
        finished_at=row.finished_at,
    )
