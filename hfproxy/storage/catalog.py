"""What lies in a bucket, kept in the database: which blobs, in which objects, when used, and who writes which.

Whoever writes a blob holds a lease on it: its row names them until a time by the database's clock, which they put off
as long as they live. Who is late may be replaced, and once they are, every statement of theirs finds that out: they
all ask for the row *with its writer's name*. Who is late and was not replaced goes on.

All times are by the database's clock: that of one node may be wrong. Where that clock was wrong itself, and was set
back, what it said then lies in the future: nobody holds a lease by that, and nothing counts as used last by it.
"""

import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, literal, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from hfproxy.errors import StorageUnavailable
from hfproxy.storage.blob_tables import BLOBS, BLOCKS, DROPPED
from hfproxy.storage.blobs import BlobBusy, BlobKey, BlobStoreBroken, StorageFull
from hfproxy.storage.database import Database
from hfproxy.storage.grouping import GroupedWrites
from hfproxy.storage.object_names import Objects, parsed, printed
from hfproxy.storage.upserts import upsert

LEASE_S = 6.0
# What lies further ahead than this was told by a clock that was wrong.
_AHEAD_S = 60.0
_STAYS_S = 3600.0
_BLOCKS_AT_ONCE = 256
_MAKING_ROOM = 0x6866_7072_6F78_7A  # an advisory lock of PostgreSQL: one makes room at a time


@dataclass(frozen=True, slots=True)
class Kept:
    """A blob's row."""

    key: BlobKey
    size_bytes: int
    block_bytes: int
    complete: bool
    objects: Objects
    """Of a complete one; empty else."""
    taken_bytes: int
    used_at_s: float
    being_written: bool


class Catalog:
    """The tables of one bucket. Raises BlobStoreBroken where the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noting = GroupedWrites(partial(database.write, durable=False))

    async def find(self, key: BlobKey) -> Kept | None:
        """What is known of a blob."""
        async with self._reading() as connection:
            row = (await connection.execute(_rows(connection).where(BLOBS.c.blob == str(key)))).first()
        return _kept(row) if row is not None else None

    async def all(self) -> AsyncIterator[Kept]:
        """Every blob."""
        async with self._reading() as connection:
            rows = (await connection.execute(_rows(connection))).all()
        for row in rows:
            if (kept := _kept(row)) is not None:
                yield kept

    async def used_bytes(self) -> int:
        """What all blobs take together."""
        async with self._reading() as connection:
            return await _used(connection)

    async def there(self, key: BlobKey, first: int = 0) -> dict[int, str]:
        """The next blocks from `first` on that are there of a blob on its way, a few hundred at most."""
        asked = select(BLOCKS).where(BLOCKS.c.blob == str(key), BLOCKS.c.block >= first)
        async with self._reading() as connection:
            rows = await connection.execute(asked.order_by(BLOCKS.c.block).limit(_BLOCKS_AT_ONCE))
            return {row.block: row.series for row in rows}

    async def take(self, key: BlobKey, size_bytes: int, block_bytes: int, writer: str) -> dict[int, str]:
        """Makes this writer the blob's only one; what is there of it. Raises BlobBusy, also for a complete blob."""
        async with self._writing() as connection:
            now, blob = _now(connection), str(key)
            fresh = {
                "blob": blob,
                "size_bytes": size_bytes,
                "block_bytes": block_bytes,
                "complete": False,
                "objects": "",
                "taken_bytes": 0,
                "used_at_s": now,
                "writer": None,
                "writer_until_s": 0.0,
            }
            await connection.execute(_insert(connection, BLOBS).values(fresh).on_conflict_do_nothing())
            taken = await connection.execute(
                update(BLOBS)
                .where(BLOBS.c.blob == blob, BLOBS.c.complete.is_(False), _free(now))
                .values(writer=writer, writer_until_s=now + LEASE_S)
            )
            if taken.rowcount == 0:
                raise BlobBusy(blob)
            row = (await connection.execute(select(BLOBS).where(BLOBS.c.blob == blob))).one()
            there = await _blocks(connection, key)
            if (row.size_bytes, row.block_bytes) != (size_bytes, block_bytes):
                await _drop_objects(connection, key, there)
                await connection.execute(delete(BLOCKS).where(BLOCKS.c.blob == blob))
                there = {}
            await connection.execute(
                update(BLOBS)
                .where(BLOBS.c.blob == blob)
                .values(size_bytes=size_bytes, block_bytes=block_bytes, used_at_s=now)
            )
            return there

    async def live(self, writers: Iterable[str]) -> set[str]:
        """Puts off the end of these leases, also of those that are over and that nobody else took; those held."""
        async with self._writing() as connection:
            held = await connection.execute(
                update(BLOBS)
                .where(BLOBS.c.writer.in_(list(writers)))
                .values(writer_until_s=_now(connection) + LEASE_S)
                .returning(BLOBS.c.writer)
            )
            return {row.writer for row in held}

    async def note_block(self, key: BlobKey, block: int, writer: str) -> None:
        """Notes that a block lies in the writer's series. Raises BlobBusy if they have lost the lease."""
        with _told_as_ours():
            held = await self._noting.add(_note_blocks, {"blob": str(key), "block": block, "series": writer})
        if not held:
            raise BlobBusy(f"{key}: another took it over")

    async def complete(self, key: BlobKey, writer: str, objects: Objects, size_bytes: int) -> None:
        """Makes it a complete blob, and nobody's to write. Raises BlobBusy if the writer has lost the lease."""
        async with self._writing(durable=True) as connection:
            done = await connection.execute(
                update(BLOBS)
                .where(BLOBS.c.blob == str(key), BLOBS.c.writer == writer, BLOBS.c.complete.is_(False))
                .values(
                    complete=True,
                    objects=printed(objects),
                    taken_bytes=size_bytes,
                    used_at_s=_now(connection),
                    writer=None,
                    writer_until_s=0.0,
                )
            )
            if done.rowcount == 0:
                raise BlobBusy(f"{key}: another took it over")
            await connection.execute(delete(BLOCKS).where(BLOCKS.c.blob == str(key)))

    async def leave(self, key: BlobKey, writer: str, taken_bytes: int) -> None:
        """Gives up the lease; what is there stays for the next."""
        async with self._writing() as connection:
            await connection.execute(
                update(BLOBS)
                .where(BLOBS.c.blob == str(key), BLOBS.c.writer == writer)
                .values(taken_bytes=taken_bytes, writer=None, writer_until_s=0.0)
            )
            await connection.execute(delete(BLOBS).where(BLOBS.c.blob == str(key), _empty(key)))

    async def discard(self, key: BlobKey, writer: str) -> None:
        """Forgets a blob on its way, with all that is there of it, if the writer still holds it."""
        async with self._writing() as connection:
            if await _holds(connection, key, writer, lock=True):
                await _forget(connection, key)

    async def put(self, key: BlobKey, series: str, size_bytes: int, block_bytes: int) -> None:
        """Notes a blob that was written whole; if it is known already, what was written is dropped."""
        objects = dict.fromkeys(range(max(1, -(-size_bytes // block_bytes))), series)
        async with self._writing(durable=True) as connection:
            row = {
                "blob": str(key),
                "size_bytes": size_bytes,
                "block_bytes": block_bytes,
                "complete": True,
                "objects": printed(objects),
                "taken_bytes": size_bytes,
                "used_at_s": _now(connection),
                "writer": None,
                "writer_until_s": 0.0,
            }
            done = await connection.execute(_insert(connection, BLOBS).values(row).on_conflict_do_nothing())
            if done.rowcount == 0:
                await _drop_objects(connection, key, objects)

    async def delete(self, key: BlobKey) -> Kept | None:
        """Forgets a blob; what it was, if there was one. Raises BlobBusy while somebody writes it."""
        async with self._writing() as connection:
            row = (await connection.execute(_rows(connection).where(BLOBS.c.blob == str(key)))).first()
            if row is None:
                return None
            if row.being_written:
                raise BlobBusy(str(key))
            await _forget(connection, key)
            return _kept(row)

    async def reserve(
        self,
        key: BlobKey,
        writer: str | None,
        size_bytes: int,
        limit_bytes: int | None,
        pinned: Callable[[BlobKey], bool],
    ) -> list[Kept]:
        """Sets room aside below the limit; which blobs had to go, the least recently used first. Raises StorageFull."""
        async with self._writing() as connection:
            victims: list[Kept] = []
            if limit_bytes is not None:
                if connection.dialect.name == "postgresql":
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MAKING_ROOM})
                lacking = await _used(connection) + size_bytes - limit_bytes
                if lacking > 0:
                    victims = await _victims(connection, key, lacking, pinned)
            for victim in victims:
                await _forget(connection, victim.key)
            if writer is not None:
                await connection.execute(
                    update(BLOBS)
                    .where(BLOBS.c.blob == str(key), BLOBS.c.writer == writer)
                    .values(taken_bytes=BLOBS.c.taken_bytes + size_bytes)
                )
            return victims

    async def touch(self, seconds_ago: Mapping[BlobKey, float]) -> None:
        """Notes when blobs were last used."""
        async with self._writing() as connection:
            now = _now(connection)
            for key, ago_s in seconds_ago.items():
                at = now - ago_s
                await connection.execute(
                    update(BLOBS)
                    .where(BLOBS.c.blob == str(key), or_(BLOBS.c.used_at_s < at, _ahead(BLOBS.c.used_at_s, now)))
                    .values(used_at_s=at)
                )

    async def due(self, most: int) -> list[tuple[str, BlobKey, Objects]]:
        """Dropped objects whose readers had their time."""
        async with self._reading() as connection:
            rows = await connection.execute(select(DROPPED).where(DROPPED.c.due_at_s < _now(connection)).limit(most))
            found = [(row.id, BlobKey.parse(row.blob), parsed(row.objects)) for row in rows]
        return [(drop, key, objects) for drop, key, objects in found if key is not None]

    async def gone(self, drop: str) -> None:
        """Notes that dropped objects were deleted."""
        async with self._writing() as connection:
            await connection.execute(delete(DROPPED).where(DROPPED.c.id == drop))

    async def close(self) -> None:
        await self._noting.close()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        with _told_as_ours():
            async with self._database.reading() as connection:
                yield connection

    @asynccontextmanager
    async def _writing(self, *, durable: bool = False) -> AsyncIterator[AsyncConnection]:
        with _told_as_ours():
            async with self._database.writing(durable=durable) as connection:
                yield connection


class _told_as_ours:  # noqa: N801 - used as a function
    """Turns what the database says into what a store says."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, StorageUnavailable):
            raise BlobStoreBroken(error.detail) from error


def _now(connection: AsyncConnection) -> ColumnElement[Any]:
    """The database's clock, in seconds since the epoch."""
    if connection.dialect.name == "postgresql":
        return func.extract("epoch", func.clock_timestamp())
    return (func.julianday("now") - 2440587.5) * 86400.0


def _free(now: ColumnElement[Any]) -> ColumnElement[bool]:
    return or_(BLOBS.c.writer.is_(None), BLOBS.c.writer_until_s < now, _ahead(BLOBS.c.writer_until_s, now))


def _ahead(time_s: ColumnElement[Any], now: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a time cannot have been noted by a clock that was right."""
    return time_s > now + _AHEAD_S


def _empty(key: BlobKey) -> ColumnElement[bool]:
    """Whether nothing is there of a blob, and nobody writes it."""
    return and_(
        BLOBS.c.complete.is_(False),
        BLOBS.c.writer.is_(None),
        ~select(literal(1)).where(BLOCKS.c.blob == str(key)).exists(),
    )


def _rows(connection: AsyncConnection) -> Any:
    return select(BLOBS, (~_free(_now(connection))).label("being_written"))


def _kept(row: Any) -> Kept | None:
    key = BlobKey.parse(row.blob)
    if key is None:
        return None
    return Kept(
        key,
        row.size_bytes,
        row.block_bytes,
        row.complete,
        parsed(row.objects),
        row.taken_bytes,
        row.used_at_s,
        bool(row.being_written),
    )


async def _used(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(func.coalesce(func.sum(BLOBS.c.taken_bytes), 0)))).scalar_one())


async def _blocks(connection: AsyncConnection, key: BlobKey) -> dict[int, str]:
    rows = await connection.execute(select(BLOCKS.c.block, BLOCKS.c.series).where(BLOCKS.c.blob == str(key)))
    return {row.block: row.series for row in rows}


def _note_blocks(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Sequence[bool]:
    """Which of the blocks were noted: those whose writer holds the lease."""
    held = [
        connection.execute(
            select(BLOBS.c.blob).where(BLOBS.c.blob == row["blob"], BLOBS.c.writer == row["series"])
        ).first()
        is not None
        for row in rows
    ]
    if noted := [row for row, its in zip(rows, held, strict=True) if its]:
        connection.execute(upsert(connection, BLOCKS), noted)
    return held


async def _holds(connection: AsyncConnection, key: BlobKey, writer: str, *, lock: bool = False) -> bool:
    asked = select(BLOBS.c.blob).where(BLOBS.c.blob == str(key), BLOBS.c.writer == writer)
    return (await connection.execute(asked.with_for_update() if lock else asked)).first() is not None


async def _forget(connection: AsyncConnection, key: BlobKey) -> None:
    """Takes a blob out of the tables, and gives its objects their time."""
    row = (await connection.execute(select(BLOBS.c.objects).where(BLOBS.c.blob == str(key)))).first()
    objects = {**(parsed(row.objects) if row else {}), **await _blocks(connection, key)}
    await _drop_objects(connection, key, objects)
    await connection.execute(delete(BLOCKS).where(BLOCKS.c.blob == str(key)))
    await connection.execute(delete(BLOBS).where(BLOBS.c.blob == str(key)))


async def _drop_objects(connection: AsyncConnection, key: BlobKey, objects: Objects) -> None:
    if objects:
        row = {
            "id": uuid.uuid4().hex,
            "blob": str(key),
            "objects": printed(objects),
            "due_at_s": _now(connection) + _STAYS_S,
        }
        await connection.execute(insert(DROPPED).values(row))


async def _victims(
    connection: AsyncConnection, key: BlobKey, lacking: int, pinned: Callable[[BlobKey], bool]
) -> list[Kept]:
    """What must go, none of it in vain: what fits nowhere costs nobody their blobs."""
    now = _now(connection)
    rows = await connection.execute(
        _rows(connection)
        .where(BLOBS.c.blob != str(key), _free(now))
        .order_by(_ahead(BLOBS.c.used_at_s, now).desc(), BLOBS.c.used_at_s)
    )
    victims: list[Kept] = []
    found = 0
    for row in rows:
        if found >= lacking:
            break
        kept = _kept(row)
        if kept is not None and kept.taken_bytes > 0 and not pinned(kept.key):
            victims.append(kept)
            found += kept.taken_bytes
    if found < lacking:
        raise StorageFull(f"{lacking} bytes too many, {found} could go")
    return victims


def _insert(connection: AsyncConnection, table: Any) -> "sqlite.Insert | postgresql.Insert":
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
