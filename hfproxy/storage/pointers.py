"""Names and what they point to: a revision to its commit, a path in a commit to a blob, or to nothing.

A revision is mutable and its age is told; what a commit holds never changes. All of it may be asked for again, so that
writes go to the database in bunches behind the answers, and an order of the operator's comes first: `forget`.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Connection, Table, bindparam, delete, select

from hfproxy.errors import StorageUnavailable
from hfproxy.storage.database import Database
from hfproxy.storage.pointer_tables import FILES, REVISIONS
from hfproxy.storage.upserts import upsert
from hfproxy.storage.write_behind import written_behind

log = structlog.get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")
_WRITE_EVERY_S = 0.2
_MOST_REMEMBERED = 20_000
# Made once: to put one together takes as long as to run it.
_FIND_REVISION = select(REVISIONS.c.commit_hash, REVISIONS.c.checked_at_s).where(
    REVISIONS.c.repo == bindparam("of_repo"), REVISIONS.c.revision == bindparam("of_revision")
)
_FIND_FILE = select(FILES).where(
    FILES.c.repo == bindparam("of_repo"),
    FILES.c.commit_hash == bindparam("of_commit"),
    FILES.c.path == bindparam("of_path"),
)
_FORGET = delete(REVISIONS).where(REVISIONS.c.repo.in_(bindparam("repos", expanding=True)))


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where a revision pointed, and when the Hub last said so (seconds since the epoch: it outlives the process)."""

    commit_hash: str
    checked_at_s: float

    @property
    def age_s(self) -> float:
        """A jump of the clock, ahead or back, makes it old, and it is asked again."""
        return abs(time.time() - self.checked_at_s)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What a path is in one commit."""

    commit_hash: str
    etag: str
    size_bytes: int
    is_lfs: bool
    content_type: str
    content_disposition: str | None
    xet_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Absence:
    """That a path is not in a commit."""

    commit_hash: str


class _Recent(Generic[K, V]):
    """The most recently used so many."""

    def __init__(self, most: int = _MOST_REMEMBERED) -> None:
        self._most = most
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        value = self._kept.get(key)
        if value is not None:
            self._kept.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def drop(self, keys: Iterable[K]) -> None:
        for key in list(keys):
            self._kept.pop(key, None)

    def __iter__(self) -> Any:
        return iter(list(self._kept))


class Pointers:
    """What is known of the Hub's names; repositories are given by their one spelling (`RepoRef.folded`, printed)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._revisions: _Recent[tuple[str, str], Pointer] = _Recent()
        self._files: _Recent[tuple[str, str, str], FileEntry | Absence] = _Recent()
        self._unwritten: dict[tuple[str, ...], tuple[Table, dict[str, Any]]] = {}
        self._turn = asyncio.Lock()
        self._generations: dict[str, int] = {}
        self.notes = 0
        """Counts what was brought to the database, for those who would look there again."""

    def known_revision(self, repo: str, revision: str) -> Pointer | None:
        """Where a revision pointed, if that is in memory."""
        return self._revisions.get((repo, revision))

    def known_file(self, repo: str, commit_hash: str, path: str) -> FileEntry | Absence | None:
        """What a path is in a commit, if that is in memory."""
        return self._files.get((repo, commit_hash, path))

    async def revision(self, repo: str, revision: str) -> Pointer | None:
        """Where a revision pointed when the Hub was last asked."""
        if (known := self._revisions.get((repo, revision))) is not None:
            return known
        row = await self._row(_FIND_REVISION, {"of_repo": repo, "of_revision": revision})
        if row is None:
            return None
        pointer = Pointer(row.commit_hash, row.checked_at_s)
        self._revisions.put((repo, revision), pointer)
        return pointer

    async def file(self, repo: str, commit_hash: str, path: str) -> FileEntry | Absence | None:
        """What a path is in a commit; None if that was never asked."""
        if (known := self._files.get((repo, commit_hash, path))) is not None:
            return known
        row = await self._row(_FIND_FILE, {"of_repo": repo, "of_commit": commit_hash, "of_path": path})
        if row is None:
            return None
        entry = _entry(row)
        self._files.put((repo, commit_hash, path), entry)
        return entry

    def generation(self, repo: str) -> int:
        """A number that changes when a repository is forgotten: what was asked before that is not noted any more."""
        return self._generations.get(repo, 0)

    def point(self, repo: str, revision: str, commit_hash: str, *, generation: int) -> None:
        """Notes where the Hub says that a revision points, if nobody forgot the repository since it was asked."""
        if generation != self.generation(repo):
            return
        pointer = Pointer(commit_hash, time.time())
        self._revisions.put((repo, revision), pointer)
        self._unwritten["revision", repo, revision] = (
            REVISIONS,
            {"repo": repo, "revision": revision, "commit_hash": commit_hash, "checked_at_s": pointer.checked_at_s},
        )

    def keep(self, repo: str, path: str, entry: FileEntry | Absence) -> None:
        """Notes what a path is in a commit."""
        self._files.put((repo, entry.commit_hash, path), entry)
        file = entry if isinstance(entry, FileEntry) else None
        self._unwritten["file", repo, entry.commit_hash, path] = (
            FILES,
            {
                "repo": repo,
                "commit_hash": entry.commit_hash,
                "path": path,
                "etag": file.etag if file else None,
                "size_bytes": file.size_bytes if file else None,
                "is_lfs": file.is_lfs if file else False,
                "content_type": file.content_type if file else None,
                "content_disposition": file.content_disposition if file else None,
                "noted_at_s": time.time(),
                "xet_hash": file.xet_hash if file else None,
            },
        )

    async def forget(self, repo: str) -> None:
        """Forgets where the revisions of a repository point: somebody wrote to it. What commits hold stays true."""
        self._generations[repo] = self.generation(repo) + 1
        self._revisions.drop(key for key in self._revisions if key[0] == repo)
        for key in [key for key in self._unwritten if key[:2] == ("revision", repo)]:
            del self._unwritten[key]
        async with self._turn:
            await self._database.write_with_others(_forget, repo)

    async def named(self, name: str) -> list[str]:
        """The repositories that are kept under this name, whoever owns them."""
        known = {key[0] for key in self._revisions} | {key[0] for key in self._files}
        wanted = select(REVISIONS.c.repo).where(REVISIONS.c.repo.endswith(name, autoescape=True)).distinct()
        known.update(await self._database.read(lambda connection: connection.execute(wanted).scalars().all()))
        return [repo for repo in known if repo.rpartition("/")[2] == name]

    async def write(self) -> None:
        """Brings what was noted to the database."""
        async with self._turn:
            if not self._unwritten:
                return
            noted, self._unwritten = self._unwritten, {}
            try:
                await self._database.write(partial(_write, noted=list(noted.values())), durable=False)
                self.notes += 1
            except StorageUnavailable as error:
                # It is remembered in memory, and can be asked for again.
                log.warning("pointers.unwritten", reason=error.detail, count=len(noted))

    async def _row(self, statement: Any, values: dict[str, str]) -> Any:
        try:
            return await self._database.read(lambda connection: connection.execute(statement, values).first())
        except StorageUnavailable as error:
            log.warning("pointers.unread", reason=error.detail)
            return None


def _forget(connection: Connection, repos: Sequence[str]) -> Sequence[None]:
    connection.execute(_FORGET, {"repos": repos})
    return [None] * len(repos)


def _write(connection: Connection, noted: Sequence[tuple[Table, dict[str, Any]]]) -> None:
    for table in (REVISIONS, FILES):
        if rows := [row for of, row in noted if of is table]:
            connection.execute(upsert(connection, table), rows)


def _entry(row: Any) -> FileEntry | Absence:
    if row.etag is None:
        return Absence(row.commit_hash)
    return FileEntry(
        row.commit_hash,
        row.etag,
        row.size_bytes,
        row.is_lfs,
        row.content_type,
        row.content_disposition,
        row.xet_hash,
    )


@asynccontextmanager
async def kept_pointers(database: Database) -> AsyncIterator[Pointers]:
    """The pointers, written behind for as long as the context lasts."""
    pointers = Pointers(database)
    async with written_behind(pointers.write, every_s=_WRITE_EVERY_S, name="pointers"):
        yield pointers
