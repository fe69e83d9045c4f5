"""What the store does for its callers: takes xorbs and shards, says how files are put together, for whom they are."""

import asyncio
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..bucketed import Bucket
from ..objects import LfsObjects
from ..pointers import Pointer
from ..repository import Repository
from .laying_out import LARGEST_LAID_OUT_BYTES, lay_out
from .shards import read_files, shard_of
from .store import XetFile, XetStore
from .tokens import Grant, Tokens
from .traffic import Traffic
from .xorbs import LARGEST_XORB_BYTES, BadXorb

# Chunk headers and the footer of old clients come on top.
_LARGEST_BODY_BYTES: Final = LARGEST_XORB_BYTES + 1024 * 1024
_ANSWERS_LAST_S: Final = 7 * 24 * 3600
_REMEMBERED_COMMITS: Final = 256


@dataclass(slots=True)
class Announced:
    """A xorb that a client was granted to upload."""

    hash: bytes
    size_bytes: int
    repo_oid: str
    until_s: float
    """When its address has expired and it is forgotten."""
    grant_id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    path: Path | None = None
    """What was sent, once it was."""


class Cas:
    """The store of one Hub. `received` is told of each file that a shard describes, and what its token granted."""

    def __init__(
        self,
        store: XetStore,
        objects: LfsObjects,
        tokens: Tokens,
        *,
        grants_last_s: float,
        received: Callable[[Grant, XetFile], None],
        clock: Callable[[], float],
    ) -> None:
        self.store = store
        self.tokens = tokens
        self.traffic = Traffic()
        self._objects = objects
        self._grants_last_s = grants_last_s
        self._received = received
        self._clock = clock
        self._writing = asyncio.Lock()
        self._announced: dict[str, Announced] = {}
        self._query_key = secrets.token_bytes(32)
        self._named: dict[tuple[str, str], frozenset[str]] = {}

    # Offering

    async def offered_file(self, pointer: Pointer) -> XetFile | None:
        """The file of a pointer, put into the store if it came without Xet and is not too large for that."""
        if self._is_to_lay_out(pointer):
            async with self._writing:
                if self._is_to_lay_out(pointer):
                    with suppress(FileNotFoundError):  # its repository may be deleted meanwhile
                        await asyncio.to_thread(lay_out, self.store, self._objects.path(pointer.oid))
        return self.store.by_sha256(pointer.oid)

    def _is_to_lay_out(self, pointer: Pointer) -> bool:
        return (
            0 < pointer.size_bytes <= LARGEST_LAID_OUT_BYTES
            and self.store.by_sha256(pointer.oid) is None
            and self._objects.is_whole(pointer.oid)
        )

    # Reading

    def may_read(self, repo: Repository | Bucket, grant: Grant, file: XetFile) -> bool:
        """Whether a token is for this file: one to read only for its revision's files. Raises RevisionMissing."""
        if isinstance(repo, Bucket):
            return file.name in repo.contents if grant.permission == "write" else repo.shows(file.name)
        if file.sha256 not in repo.record.lfs:
            return False
        return grant.permission == "write" or file.sha256 in self._files_at(repo, repo.commit_hash(grant.revision))

    def query(self, chunk: bytes) -> bytes | None:
        """A shard of xorbs that have a chunk, None when none has."""
        xorbs = self.store.told_of(chunk)
        if not xorbs:
            return None
        return shard_of(xorbs, key=self._query_key, expires_s=int(self._clock()) + _ANSWERS_LAST_S)

    def _files_at(self, repo: Repository, commit_hash: str) -> frozenset[str]:
        key = (repo.record.oid, commit_hash)
        if key not in self._named:
            if len(self._named) >= _REMEMBERED_COMMITS:
                self._named.clear()
            files = repo.history.files(commit_hash)
            self._named[key] = frozenset(entry.pointer.oid for entry in files if entry.pointer)
        return self._named[key]

    # Writing

    async def receive_xorb(self, hash_: bytes, chunks: AsyncIterable[bytes]) -> bool:
        """Take a xorb; False when it was here. Raises BadXorb."""
        async with self._received_file(chunks) as path:
            return await self._keep_xorb(path, hash_)

    def announce(self, hash_: bytes, size_bytes: int, repo_oid: str) -> Announced | None:
        """Expect a xorb at an address of its own; None when it is here. Raises BadXorb for an impossible size."""
        if self.store.xorb(hash_) is not None:
            return None
        if not 0 < size_bytes <= _LARGEST_BODY_BYTES:
            raise BadXorb(f"no xorb has {size_bytes} bytes")
        now_s = self._clock()
        for old in [each for each in self._announced.values() if now_s > each.until_s]:
            self._drop(old)
        announced = Announced(hash_, size_bytes, repo_oid, now_s + self._grants_last_s)
        self._announced[announced.grant_id] = announced
        return announced

    def announced(self, grant_id: str) -> Announced | None:
        return self._announced.get(grant_id)

    async def receive_announced(self, announced: Announced, chunks: AsyncIterable[bytes]) -> None:
        """Take what is sent to a grant's address, unread. Raises BadXorb for another size than was announced."""
        async with self._received_file(chunks) as path:
            if path.stat().st_size != announced.size_bytes:
                raise BadXorb(f"{path.stat().st_size} bytes, not {announced.size_bytes}")
            if announced.path is None:  # the same may have come twice at once
                announced.path = self.store.incoming()
                path.replace(announced.path)

    async def commit_announced(self, announced: Announced) -> None:
        """Make what was sent the xorb that it was announced as. Raises BadXorb."""
        assert announced.path is not None
        try:
            await self._keep_xorb(announced.path, announced.hash)
        finally:
            self._drop(announced)

    async def receive_shard(self, shard: bytes, grant: Grant) -> AsyncIterator[tuple[int, int]]:
        """Take a shard's files, telling how many of how many are checked. Raises BadShard."""
        files = read_files(shard)
        yield 0, len(files)
        for number, described in enumerate(files, start=1):
            async with self._writing:
                file = await asyncio.to_thread(self.store.keep_file, described)
            self._received(grant, file)
            yield number, len(files)

    def _drop(self, announced: Announced) -> None:
        self._announced.pop(announced.grant_id, None)
        if announced.path is not None:
            announced.path.unlink(missing_ok=True)

    async def _keep_xorb(self, path: Path, hash_: bytes) -> bool:
        async with self._writing:
            return await asyncio.to_thread(self.store.keep_xorb, path, hash_)

    @asynccontextmanager
    async def _received_file(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[Path]:
        path, written = self.store.incoming(), 0
        try:
            with path.open("wb") as file:
                async for chunk in chunks:
                    written += len(chunk)
                    if written > _LARGEST_BODY_BYTES:
                        raise BadXorb("more bytes than a xorb may have")
                    await asyncio.to_thread(file.write, chunk)
            self.traffic.bytes_in += written
            yield path
        finally:
            path.unlink(missing_ok=True)
