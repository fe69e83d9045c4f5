"""Writes a bundle: commits of repositories with all that a gateway elsewhere needs to serve them offline, as a tar."""

import hashlib
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO

from sqlalchemy import Connection, Row, select

from hfproxy import __version__
from hfproxy.features.files.rights import BROUGHT, EVERYBODY
from hfproxy.features.metadata.models import AnswerKey, KeptAnswer
from hfproxy.features.metadata.store import AnswerStore
from hfproxy.features.stocking.manifest import (
    ANSWERS,
    BLOBS,
    FORMAT,
    MANIFEST,
    Access,
    BundledAnswer,
    BundledFile,
    BundledRepo,
    Manifest,
)
from hfproxy.features.stocking.questions import DEFAULT_REVISION, info_questions, next_page, tree_questions
from hfproxy.storage.blobs import BlobKey, BlobStore
from hfproxy.storage.database import Database
from hfproxy.storage.pointer_tables import FILES, REVISIONS
from hfproxy.upstream.refs import RepoRef, is_commit_hash

_CHUNK_BYTES = 4 * 1024**2


class NotExportable(Exception):
    """What cannot be put into a bundle, and why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A bundle that is about to be written. left_out: files that are known, but not kept whole."""

    manifest: Manifest
    bodies: dict[str, bytes]
    left_out: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        return sum(self.manifest.blobs().values())


class Exporter:
    """Reads what is kept. audience: whose answers the gateway's own are (`features/files/rights.py`)."""

    def __init__(self, *, database: Database, blobs: BlobStore, audience: str) -> None:
        self._database, self._blobs = database, blobs
        self._answers, self._audiences = AnswerStore(database), dict.fromkeys((audience, EVERYBODY, BROUGHT))

    async def plan(self, wanted: Sequence[tuple[RepoRef, str | None]]) -> Plan:
        """What goes into the bundle. Raises NotExportable."""
        repos, bodies, left_out = [], dict[str, bytes](), list[str]()
        for repo, revision in wanted:
            bundled, missing = await self._repo(repo, revision or DEFAULT_REVISION, bodies)
            repos.append(bundled)
            left_out += missing
        manifest = Manifest(format=FORMAT, version=1, made_by=f"hfproxy {__version__}", repositories=repos)
        return Plan(manifest, bodies, tuple(left_out))

    async def write(self, plan: Plan, file: BinaryIO, *, progressed: Callable[[int], None]) -> None:
        """Writes the bundle. Raises NotExportable if a file was evicted meanwhile, OSError."""
        described = plan.manifest.model_dump_json().encode()
        _write_member(file, MANIFEST, described)
        for digest, body in plan.bodies.items():
            _write_member(file, ANSWERS + digest, body)
        for name, size_bytes in plan.manifest.blobs().items():
            key = BlobKey.parse(name)
            assert key is not None
            blob = await self._blobs.open(key)
            if blob is None:
                raise NotExportable(f"{name} was evicted meanwhile: pin what you export")
            with closing(blob):
                file.write(_head(BLOBS + name, size_bytes))
                for start in range(0, size_bytes, _CHUNK_BYTES):
                    content = await blob.read(start, min(start + _CHUNK_BYTES, size_bytes))
                    file.write(content)
                    progressed(len(content))
                file.write(_padding(size_bytes))
        file.write(bytes(tarfile.BLOCKSIZE * 2))

    async def _repo(self, repo: RepoRef, revision: str, bodies: dict[str, bytes]) -> tuple[BundledRepo, list[str]]:
        points, known = await self._database.read(partial(_known, repo=str(repo.folded)))
        commit_hash = revision.lower() if is_commit_hash(revision) else None
        if commit_hash is None and revision in points:
            commit_hash = points[revision].commit_hash
        known = [row for row in known if row.commit_hash == commit_hash]
        if commit_hash is None or not known:
            raise NotExportable(f"nothing is kept of {repo}@{revision}: hfproxy cache warm {repo}@{revision}")
        files, missing = [], []
        for row in known:
            key = BlobKey.from_etag(row.etag) if row.etag is not None else None
            if key is not None and await self._blobs.size(key) == row.size_bytes:
                files.append(
                    BundledFile(
                        path=row.path,
                        blob=str(key),
                        size_bytes=row.size_bytes,
                        is_lfs=row.is_lfs,
                        content_type=row.content_type,
                        content_disposition=row.content_disposition,
                    )
                )
            elif row.etag is not None:
                missing.append(f"{repo}@{commit_hash[:8]} {row.path}")
        revisions = {each: row.checked_at_s for each, row in points.items() if row.commit_hash == commit_hash}
        answers = [answer async for answer in self._said(repo, (*revisions, commit_hash), bodies)]
        bundled = BundledRepo(
            repo=str(repo),
            commit_hash=commit_hash,
            access=_access(answers, bodies, info_questions(repo, (*revisions, commit_hash))),
            said_at_s=max((answer.said_at_s for answer in answers), default=0.0),
            revisions=revisions,
            files=files,
            absent=[row.path for row in known if row.etag is None],
            answers=answers,
        )
        return bundled, missing

    async def _said(
        self, repo: RepoRef, revisions: tuple[str, ...], bodies: dict[str, bytes]
    ) -> AsyncIterator[BundledAnswer]:
        for first in info_questions(repo, revisions) + tree_questions(repo, revisions):
            target: str | None = first
            while target is not None:
                kept = await self._kept(repo, target)
                if kept is None:
                    break
                digest = hashlib.sha256(kept.body).hexdigest()
                bodies[digest] = kept.body
                yield BundledAnswer(
                    target=target, headers=list(kept.headers), said_at_s=kept.said_at_s, body_sha256=digest
                )
                target = next_page(kept.headers)

    async def _kept(self, repo: RepoRef, target: str) -> KeptAnswer | None:
        key = AnswerKey(str(repo.folded), EVERYBODY, "GET", target)
        for audience in self._audiences:
            kept = await self._answers.find(replace(key, audience=audience))
            if kept is not None and kept.status == 200:
                return kept
        return None


def _known(connection: Connection, repo: str) -> tuple[dict[str, Row[Any]], Sequence[Row[Any]]]:
    """Where revisions point, and the files of all commits, as one moment of the database has them."""
    points = connection.execute(select(REVISIONS).where(REVISIONS.c.repo == repo))
    files = connection.execute(select(FILES).where(FILES.c.repo == repo).order_by(FILES.c.path))
    return {row.revision: row for row in points}, files.all()


def _access(answers: Sequence[BundledAnswer], bodies: dict[str, bytes], about: Sequence[str]) -> Access:
    """`public` only where the Hub's own words say so."""
    for answer in answers:
        if answer.target in about:
            told = json.loads(bodies[answer.body_sha256])
            open_to_all = told.get("private") is False and told.get("gated") is False and not told.get("disabled")
            if not open_to_all:
                return "restricted"
    return "public" if any(answer.target in about for answer in answers) else "restricted"


def _write_member(file: BinaryIO, name: str, content: bytes) -> None:
    file.write(_head(name, len(content)) + content + _padding(len(content)))


def _head(name: str, size_bytes: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size_bytes, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % tarfile.BLOCKSIZE)
