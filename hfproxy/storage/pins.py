"""Pins: repositories, or revisions of them, whose blobs eviction passes by."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, or_, select, update

from hfproxy.beside import beside
from hfproxy.errors import StorageUnavailable
from hfproxy.storage.blobs import BlobKey
from hfproxy.storage.database import Database
from hfproxy.storage.pointer_tables import FILES, PINS, REVISIONS
from hfproxy.storage.upserts import upsert

log = structlog.get_logger(__name__)

ALL = ""
"""The revision that stands for a whole repository."""
_LOOK_EVERY_S = 1.0
_COUNT_AGAIN_S = 60.0
_ALL_PINS = select(PINS).order_by(PINS.c.repo, PINS.c.revision)


@dataclass(frozen=True, slots=True)
class Pin:
    """A pinned repository (its one spelling), or a revision of it.

    commit_hash: where a branch last pointed; it keeps that commit's files pinned until it is known where it points now.
    """

    repo: str
    revision: str
    commit_hash: str | None


async def pin(database: Database, repo: str, revision: str = ALL) -> None:
    """Pins it; what is pinned already stays so."""
    row = {"repo": repo, "revision": revision, "commit_hash": None, "pinned_at_s": time.time()}
    await database.write(lambda connection: connection.execute(upsert(connection, PINS), [row]))


async def unpin(database: Database, repo: str, revision: str = ALL) -> bool:
    """Lets eviction take it again; whether it was pinned."""
    this = delete(PINS).where(PINS.c.repo == repo, PINS.c.revision == revision)
    return await database.write(lambda connection: connection.execute(this).rowcount > 0)


async def all_pins(database: Database) -> list[Pin]:
    """Every pin, by name."""
    rows = await database.read(lambda connection: connection.execute(_ALL_PINS).all())
    return [Pin(row.repo, row.revision, row.commit_hash) for row in rows]


def _where_it_points() -> ColumnElement[str]:
    points_to = select(REVISIONS.c.commit_hash).where(
        REVISIONS.c.repo == PINS.c.repo, REVISIONS.c.revision == PINS.c.revision
    )
    return func.coalesce(points_to.correlate(PINS).scalar_subquery(), PINS.c.commit_hash)


def covers(repo: ColumnElement[str], commit_hash: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether some pin is for that commit of that repository."""
    of_this = or_(PINS.c.revision == ALL, PINS.c.revision == commit_hash, _where_it_points() == commit_hash)
    return select(PINS.c.repo).where(PINS.c.repo == repo, of_this).exists()


def _etags() -> Select[tuple[str]]:
    of_this = or_(
        PINS.c.revision == ALL, PINS.c.revision == FILES.c.commit_hash, _where_it_points() == FILES.c.commit_hash
    )
    pinned = FILES.join(PINS, and_(PINS.c.repo == FILES.c.repo, of_this))
    return select(FILES.c.etag).select_from(pinned).where(FILES.c.etag.is_not(None)).distinct()


async def pinned_keys(database: Database) -> frozenset[BlobKey]:
    """The blobs of all that is pinned, kept or not."""
    rows = await database.read(lambda connection: connection.execute(_etags()).all())
    return frozenset(key for row in rows if (key := BlobKey.from_etag(row.etag)) is not None)


class Pins:
    """The pinned blobs as a running gateway knows them: in memory, since eviction asks for each blob it might take."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pins: list[Pin] = []
        self._keys: frozenset[BlobKey] = frozenset()
        self._counted = (-1, 0.0)

    def __contains__(self, key: BlobKey) -> bool:
        return key in self._keys

    @asynccontextmanager
    async def followed(self, notes: Callable[[], int]) -> AsyncIterator[None]:
        """Looks every second while the context lasts. notes: as `look` takes it."""

        async def follow() -> None:
            while True:
                await self.look(notes())
                await asyncio.sleep(_LOOK_EVERY_S)

        async with beside(follow(), name="follow pins"):
            yield

    async def look(self, notes: int = 0) -> None:
        """Finds out what is pinned now; cheap where nothing changed.

        notes: a number that changes when something new is known of names. What other processes note shows after a
        minute at the latest.
        """
        try:
            pins = await all_pins(self._database)
            noted, counted_at = self._counted
            if pins == self._pins and ((noted == notes and time.monotonic() - counted_at < _COUNT_AGAIN_S) or not pins):
                return
            if pins:
                await self._remember_where_branches_point()
                pins = await all_pins(self._database)
            self._keys = await pinned_keys(self._database)
            if {(each.repo, each.revision) for each in pins} != {(each.repo, each.revision) for each in self._pins}:
                log.info("pins.changed", count=len(pins), blobs=len(self._keys))
            self._pins, self._counted = pins, (notes, time.monotonic())
        except StorageUnavailable as error:
            log.warning("pointers.unread", reason=error.detail)

    async def _remember_where_branches_point(self) -> None:
        moved = and_(
            PINS.c.revision != ALL,
            _where_it_points().is_not(None),
            func.coalesce(PINS.c.commit_hash, "") != _where_it_points(),
        )
        wanted = select(PINS.c.repo, PINS.c.revision, _where_it_points().label("to")).where(moved)
        rows = await self._database.read(lambda connection: connection.execute(wanted).all())
        for row in rows:
            await self._database.write(partial(_note_move, row=row), durable=False)


def _note_move(connection: Connection, row: Row[Any]) -> None:
    this = update(PINS).where(PINS.c.repo == row.repo, PINS.c.revision == row.revision)
    connection.execute(this.values(commit_hash=row.to))
