"""Keeps ranges of xorbs: their bytes as blobs, and which blob is where in the database."""

import asyncio
import json
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import structlog
from sqlalchemy import and_, delete, or_, select, update

from hfproxy.errors import StorageUnavailable
from hfproxy.features.xet.chunks import WrongXorb
from hfproxy.features.xet.models import KeptRange, Piece
from hfproxy.features.xet.proof import contradicting, joined
from hfproxy.features.xet.tables import XORB_RANGES
from hfproxy.storage.blobs import BlobKey
from hfproxy.storage.database import Database
from hfproxy.storage.upserts import upsert
from hfproxy.upstream.xet_hashes import HASH_BYTES

log = structlog.get_logger(__name__)

# A range that its xorb's name does not prove is asked for again after this time, or when the clock went back by more.
_BELIEVED_FOR_S = 7 * 24 * 3600
_SIZE_BYTES = 4
_LEAF_BYTES = HASH_BYTES + _SIZE_BYTES


class XorbIndex:
    """Which ranges of which xorbs are kept. A database that cannot be used costs a fetch, never an answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def touching(self, xorb: str, start: int, stop: int, *, repo: str) -> list[KeptRange]:
        """The ranges that have a byte of [start, stop), from the front, without their leaves: proven, or of `repo`."""
        of = XORB_RANGES.c
        # No repository is a bucket, of which none vouches for another.
        usable = or_(of.proven, of.repo == repo) if repo else of.proven
        try:
            return await self._rows(and_(of.xorb == xorb, of.start < stop, of.stop > start, usable), leaves=False)
        except StorageUnavailable as error:
            log.warning("pointers.unread", reason=error.detail)
            return []

    async def add(self, new: KeptRange, xorb_bytes: int | None = None) -> None:
        """Takes in a range that arrived whole, and what it proves or disproves; xorb_bytes: the whole xorb's, if known.

        Raises WrongXorb where what is proven says otherwise, or its own name.
        """
        try:
            others = [other for other in await self._rows(_of(new.xorb)) if _place(other) != _place(new)]
            if wrong := contradicting(new, others):
                if any(other.proven for other in wrong):
                    raise WrongXorb("a chunk is another than the one that is proven")
                await self._doubt(new.xorb, wrong)
                if (await asyncio.to_thread(joined, [new])).name != new.xorb:
                    return  # one of them is wrong, and nobody can tell which: all are asked for again
                others = [other for other in others if other not in wrong]
            alone, together = await asyncio.to_thread(lambda: (joined([new]), joined([new, *others])))
            if alone.is_whole(xorb_bytes) and alone.name != new.xorb:
                raise WrongXorb("all of its chunks are there, and have another name")
            if together.is_whole(xorb_bytes) and together.name != new.xorb:
                await self._doubt(new.xorb, others)
                return
            proven = new.xorb in {alone.name, together.name}
            async with self._database.writing(durable=False) as connection:
                await connection.execute(upsert(connection, XORB_RANGES), [_row(replace(new, proven=proven))])
                if proven:
                    # Whatever else is there agrees with these chunks, and they are all that there are.
                    whole = and_(_of(new.xorb), XORB_RANGES.c.stop <= max(alone.stop, together.stop))
                    await connection.execute(update(XORB_RANGES).where(whole).values(proven=True))
        except StorageUnavailable as error:
            log.warning("pointers.unwritten", reason=error.detail, count=1)

    async def _doubt(self, xorb: str, ranges: list[KeptRange]) -> None:
        log.warning("xorb.doubted", xorb=xorb, ranges=len(ranges))
        await self.forget(xorb, ranges)

    async def forget(self, xorb: str, ranges: list[KeptRange]) -> None:
        """Forgets these ranges, so that they are fetched anew."""
        of = XORB_RANGES.c
        try:
            async with self._database.writing(durable=False) as connection:
                for each in ranges:
                    await connection.execute(
                        delete(XORB_RANGES).where(of.xorb == xorb, of.start == each.start, of.stop == each.stop)
                    )
        except StorageUnavailable as error:
            log.warning("pointers.unwritten", reason=error.detail, count=len(ranges))

    async def _rows(self, condition: Any, *, leaves: bool = True) -> list[KeptRange]:
        columns = [column for column in XORB_RANGES.c if leaves or column is not XORB_RANGES.c.leaves]
        async with self._database.reading() as connection:
            rows = await connection.execute(select(*columns).where(condition).order_by(XORB_RANGES.c.start))
            return [
                _kept(row, row.leaves if leaves else b"")
                for row in rows
                if row.proven or abs(time.time() - row.kept_at_s) < _BELIEVED_FOR_S
            ]


def _of(xorb: str) -> Any:
    return XORB_RANGES.c.xorb == xorb


def _place(kept: KeptRange) -> tuple[int, int, str]:
    return kept.start, kept.stop, kept.repo


def _row(kept: KeptRange) -> dict[str, Any]:
    return {
        "xorb": kept.xorb,
        "start": kept.start,
        "stop": kept.stop,
        "repo": kept.repo,
        "first_chunk": kept.first_chunk,
        "leaves": b"".join(hash_ + size.to_bytes(_SIZE_BYTES, "little") for hash_, size in kept.leaves),
        "pieces": json.dumps([[piece.stop, str(piece.key)] for piece in kept.pieces], separators=(",", ":")),
        "proven": kept.proven,
        "kept_at_s": kept.kept_at_s,
    }


def _kept(row: Any, packed: bytes) -> KeptRange:
    leaves = [packed[at : at + _LEAF_BYTES] for at in range(0, len(packed), _LEAF_BYTES)]
    ends = [(row.start, ""), *((stop, key) for stop, key in json.loads(row.pieces))]
    keys = [(start, stop, BlobKey.parse(key)) for (start, _), (stop, key) in pairwise(ends)]
    return KeptRange(
        row.xorb,
        row.start,
        row.stop,
        row.repo,
        row.first_chunk,
        tuple((leaf[:HASH_BYTES], int.from_bytes(leaf[HASH_BYTES:], "little")) for leaf in leaves),
        tuple(Piece(start, stop, key) for start, stop, key in keys if key is not None),
        row.proven,
        row.kept_at_s,
    )
