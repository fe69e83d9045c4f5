"""Looking after what is kept: counted, listed by repository, checked against its hashes, made smaller."""

import time
from collections.abc import AsyncGenerator, Container
from dataclasses import dataclass

from sqlalchemy import func, select

from hfproxy.storage.blobs import BlobBusy, BlobInfo, BlobKey, BlobStore, begin_digest
from hfproxy.storage.bucket import ObjectGone
from hfproxy.storage.database import Database
from hfproxy.storage.eviction import least_recently_used_first
from hfproxy.storage.pins import all_pins
from hfproxy.storage.pointer_tables import FILES

_CHUNK_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Stats:
    """What is kept, in numbers."""

    complete: int
    complete_bytes: int
    partial: int
    partial_bytes: int


@dataclass(frozen=True, slots=True)
class KnownRepository:
    """A repository with its different files, in numbers; `pins` are its pinned revisions, `""` for all of it."""

    repo: str
    files: int
    size_bytes: int
    pins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that is known; `kept` tells whether its bytes are here: `whole`, `partly` or `no`."""

    commit_hash: str
    path: str
    size_bytes: int
    kept: str


async def stats(blobs: BlobStore) -> Stats:
    """How much is kept."""
    found = [info async for info in blobs.list()]
    whole = [info.size_bytes for info in found if info.complete]
    partly = [info.size_bytes for info in found if not info.complete]
    return Stats(len(whole), sum(whole), len(partly), sum(partly))


async def repositories(database: Database) -> list[KnownRepository]:
    """Each repository of which a file is known or that is pinned, largest first."""
    different = (
        select(FILES.c.repo, FILES.c.etag, func.max(FILES.c.size_bytes).label("size_bytes"))
        .where(FILES.c.etag.is_not(None))
        .group_by(FILES.c.repo, FILES.c.etag)
        .subquery()
    )
    each = select(different.c.repo, func.count(), func.sum(different.c.size_bytes)).group_by(different.c.repo)
    rows = await database.read(lambda connection: connection.execute(each).all())
    found = {repo: (int(files), int(size_bytes)) for repo, files, size_bytes in rows}
    pinned: dict[str, list[str]] = {}
    for pin in await all_pins(database):
        pinned.setdefault(pin.repo, []).append(pin.revision)
    known = [KnownRepository(repo, *found.get(repo, (0, 0)), tuple(pinned.get(repo, ()))) for repo in {*found, *pinned}]
    return sorted(known, key=lambda each: (-each.size_bytes, each.repo))


async def files_of(repo: str, database: Database, blobs: BlobStore) -> list[KeptFile]:
    """The files that are known of a repository (its one spelling), by commit and path."""
    state = {info.key: "whole" if info.complete else "partly" async for info in blobs.list()}
    known = (
        select(FILES).where(FILES.c.repo == repo, FILES.c.etag.is_not(None)).order_by(FILES.c.commit_hash, FILES.c.path)
    )
    found = await database.read(lambda connection: connection.execute(known).all())
    return [
        KeptFile(row.commit_hash, row.path, row.size_bytes, state.get(key, "no") if key else "no")
        for row in found
        for key in [BlobKey.from_etag(row.etag)]
    ]


async def verify(blobs: BlobStore) -> AsyncGenerator[tuple[BlobInfo, int, bool | None]]:
    """Reads every complete blob again: (blob, bytes read just now, verdict); a wrong one is deleted.

    The verdict comes with a blob's last bytes, None before that.
    """
    complete = [info async for info in blobs.list() if info.complete]
    for info in complete:
        blob = await blobs.open(info.key)
        if blob is None:
            continue
        digest, position, last = begin_digest(info.key.algorithm, blob.size_bytes), 0, 0
        try:
            while position < blob.size_bytes:
                try:
                    content = await blob.read(position, min(position + _CHUNK_BYTES, blob.size_bytes))
                except ObjectGone:
                    break
                if not content:
                    break
                digest.update(content)
                position, last = position + len(content), len(content)
                if position < blob.size_bytes:
                    yield info, last, None
        finally:
            blob.close()
        right = digest.hexdigest() == info.key.digest
        if not right:
            await blobs.delete(info.key)
        yield info, last, right


async def prune(
    blobs: BlobStore,
    *,
    pinned: Container[BlobKey],
    to_bytes: int | None,
    unused_s: float | None,
    partial: bool,
    dry: bool = False,
) -> list[BlobInfo]:
    """Deletes the least recently used until `to_bytes` are left, what nobody used for so long, and partial blobs.

    What is pinned stays.
    """
    found = least_recently_used_first([info async for info in blobs.list()])
    left, now = sum(info.size_bytes for info in found), time.time()
    gone = []
    for info in found:
        over = to_bytes is not None and left > to_bytes
        old = unused_s is not None and now - info.used_at.timestamp() > unused_s
        if not (over or old or (partial and not info.complete)) or info.key in pinned:
            continue
        try:
            if not dry and not await blobs.delete(info.key):
                continue
        except BlobBusy:
            continue
        left -= info.size_bytes
        gone.append(info)
    return gone
