"""Takes in bundles: every blob is checked against its name, and names are believed only when all of them are there."""

import asyncio
import hashlib
import json
import tarfile
import time
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, BinaryIO, Self

from pydantic import ValidationError
from sqlalchemy import Connection, Table, select

from hfproxy.features.files.rights import BROUGHT, EVERYBODY
from hfproxy.features.metadata.models import AnswerKey
from hfproxy.features.stocking.manifest import ANSWERS, BLOBS, MANIFEST, BundledRepo, Manifest
from hfproxy.storage.blobs import BlobBusy, BlobKey, BlobStore, PartialBlob, WrongBytes
from hfproxy.storage.database import Database
from hfproxy.storage.pointer_tables import ANSWERS as KEPT_ANSWERS
from hfproxy.storage.pointer_tables import FILES, REVISIONS, RIGHTS
from hfproxy.storage.upserts import upsert
from hfproxy.upstream.refs import RepoRef

_CHUNK_BYTES = 4 * 1024**2
_MAX_MANIFEST_BYTES = 512 * 1024**2
_MAX_ANSWER_BYTES = 64 * 1024**2


# What tar can say of a member beside its head: a bundle needs it for the size of a file beyond 8 GiB alone.
_EXTENDED_HEADS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
_MAX_EXTENDED_HEAD_BYTES = 64 * 1024
# What tarfile raises where a head is not what it should be; the last where one stands before another a thousand times.
_UNREADABLE = (tarfile.TarError, ValueError, RecursionError)


class BadBundle(Exception):
    """It is no bundle, or not what it says it is."""


class _Member(tarfile.TarInfo):
    """A member whose extended head is not read into memory whatever its size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENDED_HEADS and member.size > _MAX_EXTENDED_HEAD_BYTES:
            raise tarfile.ReadError("a member's head is too large")
        return member


async def take_in(
    blobs: BlobStore, key: BlobKey, size_bytes: int, chunks: AsyncIterator[bytes], *, progressed: Callable[[int], None]
) -> None:
    """Keeps a blob that comes from elsewhere, if it is what its name says. Raises WrongBytes, BlobProblem.

    One that is kept already is read past; one that a running gateway downloads now is left to it.
    """
    if await blobs.size(key) is not None:
        await _read_past(chunks, progressed)
    elif size_bytes <= blobs.block_size_bytes:
        content = b"".join([chunk async for chunk in chunks])
        await blobs.put(key, content)
        progressed(len(content))
    else:
        try:
            partial = await blobs.partial(key, size_bytes)
        except BlobBusy:
            await _read_past(chunks, progressed)
            return
        try:
            await _fill(partial, chunks, progressed)
        except WrongBytes:
            raise
        except BaseException:
            # What came with something broken is not left for others to go on from.
            await partial.discard()
            raise
        finally:
            await partial.close()


async def _fill(partial: PartialBlob, chunks: AsyncIterator[bytes], progressed: Callable[[int], None]) -> None:
    position, size_bytes = 0, partial.size_bytes
    await partial.reserve(0, size_bytes)
    async for chunk in chunks:
        end = position + len(chunk)
        if end > size_bytes:
            break
        for start, stop in list(partial.missing(position, end)):
            await partial.write(start, chunk[start - position : min(stop, end) - position])
        position = end
        progressed(len(chunk))
    if position != size_bytes:
        await partial.discard()
        raise WrongBytes(f"{partial.key} does not have {size_bytes} bytes")
    await partial.verify()
    await partial.keep()


async def _read_past(chunks: AsyncIterator[bytes], progressed: Callable[[int], None]) -> None:
    async for chunk in chunks:
        progressed(len(chunk))


class BundleReader:
    """Reads a bundle from its first byte to its last; it may come through a pipe."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._tar = tarfile.open(fileobj=file, mode="r|", tarinfo=_Member)  # noqa: SIM115 - closed with the file
            self.manifest = self._read_manifest()
            self.blobs = self.manifest.blobs()
        except _UNREADABLE as error:
            raise BadBundle(f"this is no bundle: {_shortly(error)}") from None

    async def copy_to(self, blobs: BlobStore, *, progressed: Callable[[int], None]) -> dict[str, bytes]:
        """Keeps all blobs; gives the bodies of answers by their sha256. Raises BadBundle, BlobProblem."""
        missing, bodies, wanted = dict(self.blobs), dict[str, bytes](), set(self.manifest.answers())
        while (member := await self._next()) is not None:
            if member.name.startswith(ANSWERS) and member.name.removeprefix(ANSWERS) in wanted:
                digest = member.name.removeprefix(ANSWERS)
                bodies[digest] = await self._answer(member, digest)
                wanted.remove(digest)
            elif member.name.startswith(BLOBS) and member.name.removeprefix(BLOBS) in missing:
                name = member.name.removeprefix(BLOBS)
                key, size_bytes = BlobKey.parse(name), missing.pop(name)
                assert key is not None
                if member.size != size_bytes:
                    raise BadBundle(f"{name} has {member.size} bytes instead of {size_bytes}")
                try:
                    await take_in(blobs, key, size_bytes, self._chunks(member), progressed=progressed)
                except WrongBytes:
                    raise BadBundle(f"{name} is damaged: it is not what its name says") from None
            else:
                raise BadBundle(f"{member.name!r} does not belong into a bundle")
        if missing or wanted:
            raise BadBundle(f"it ends too early: {len(missing)} files and {len(wanted)} answers are missing")
        return bodies

    def _read_manifest(self) -> Manifest:
        member = self._tar.next()
        if member is None or member.name != MANIFEST or not _is_plain(member) or member.size > _MAX_MANIFEST_BYTES:
            raise ValueError(f"it does not begin with {MANIFEST}")
        file = self._tar.extractfile(member)
        assert file is not None
        return Manifest.model_validate_json(file.read())

    async def _next(self) -> tarfile.TarInfo | None:
        try:
            member = await asyncio.to_thread(self._tar.next)
        except _UNREADABLE as error:
            raise BadBundle(f"it is damaged: {error}") from None
        if member is not None and not _is_plain(member):
            raise BadBundle(f"{member.name!r} is not a plain file")
        return member

    async def _answer(self, member: tarfile.TarInfo, digest: str) -> bytes:
        if member.size > _MAX_ANSWER_BYTES:
            raise BadBundle(f"{member.name} is too large")
        body = b"".join([chunk async for chunk in self._chunks(member)])
        if hashlib.sha256(body).hexdigest() != digest:
            raise BadBundle(f"{member.name} is damaged: it is not what its name says")
        return body

    async def _chunks(self, member: tarfile.TarInfo) -> AsyncIterator[bytes]:
        file = self._tar.extractfile(member)
        assert file is not None
        while True:
            try:
                chunk = await asyncio.to_thread(file.read, _CHUNK_BYTES)
            except (tarfile.TarError, OSError) as error:
                raise BadBundle(f"it is damaged: {error}") from None
            if not chunk:
                return
            yield chunk


async def name_all(database: Database, manifest: Manifest, bodies: dict[str, bytes]) -> None:
    """Makes the names of a bundle known, all at once; what is known better already stays."""

    def write(connection: Connection) -> None:
        for repo in manifest.repositories:
            for table, rows in _rows_of(repo, bodies).items():
                if new := _news(connection, table, rows):
                    connection.execute(upsert(connection, table), new)

    await database.write(write)


def _news(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that tell more than is known: what a commit holds never changes, the rest may have been said later."""
    if not rows:
        return []
    keys = tuple(column.name for column in table.primary_key.columns)
    said = {REVISIONS: "checked_at_s", RIGHTS: "said_at_s", KEPT_ANSWERS: "said_at_s"}.get(table)
    columns = [table.c[name] for name in (*keys, said or keys[0])]
    known = {
        tuple(row[:-1]): row[-1] if said else float("inf")
        for row in connection.execute(select(*columns).where(table.c.repo == rows[0]["repo"]))
    }
    unknown = float("-inf")
    return [row for row in rows if known.get(tuple(row[key] for key in keys), unknown) < (row[said] if said else 0.0)]


def _rows_of(repo: BundledRepo, bodies: dict[str, bytes]) -> dict[Table, list[dict[str, Any]]]:
    name = str(RepoRef.parse_printed(repo.repo).folded)
    commit = {"repo": name, "commit_hash": repo.commit_hash}
    now = time.time()
    nothing = {"etag": None, "size_bytes": None, "is_lfs": False, "content_type": None, "content_disposition": None}
    files: list[dict[str, Any]] = [
        commit
        | {
            "path": file.path,
            "etag": file.blob.partition("-")[2],
            "size_bytes": file.size_bytes,
            "is_lfs": file.is_lfs,
            "content_type": file.content_type,
            "content_disposition": file.content_disposition,
            "noted_at_s": now,
        }
        for file in repo.files
    ]
    rights = [commit | {"audience": BROUGHT, "path": "", "said_at_s": now}]
    if repo.access == "public":
        rights.append(commit | {"audience": EVERYBODY, "path": "", "said_at_s": repo.said_at_s})
    audience = EVERYBODY if repo.access == "public" else BROUGHT
    answers = [
        {
            "digest": AnswerKey(name, audience, "GET", answer.target).digest,
            "repo": name,
            "headers": json.dumps(answer.headers),
            "body": zlib.compress(bodies[answer.body_sha256], 1),
            "said_at_s": answer.said_at_s,
        }
        for answer in repo.answers
    ]
    revisions = [
        commit | {"revision": revision, "checked_at_s": checked_at_s}
        for revision, checked_at_s in repo.revisions.items()
    ]
    absent = [commit | nothing | {"path": path, "noted_at_s": now} for path in repo.absent]
    return {FILES: files + absent, RIGHTS: rights, KEPT_ANSWERS: answers, REVISIONS: revisions}


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not member.issparse()


def _shortly(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
