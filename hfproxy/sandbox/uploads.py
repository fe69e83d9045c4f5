"""Large files on their way in: announced in a batch, sent whole or in parts, kept once they prove to be what was said.

An object store takes what it is sent; only `verify`, or the end of a multipart upload, compares it. So here: wrong
bytes are accepted and dropped, and `verify` finds nothing.
"""

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from .objects import LfsObjects
from .repository import Repository

WRITE_BYTES: Final = 1024 * 1024


class BadUpload(ValueError):
    """What was sent does not fit what was announced: too long, too short, or parts that are not these."""


@dataclass(slots=True)
class Upload:
    """One announced object."""

    repo: Repository
    oid: str
    size_bytes: int
    part_bytes: int | None
    """None for an object sent whole."""
    by: str | None
    path: Path
    began_s: float
    upload_id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    etags: dict[int, str] = field(default_factory=dict)

    @property
    def part_count(self) -> int:
        return 1 if self.part_bytes is None else max(1, -(-self.size_bytes // self.part_bytes))

    def place_of(self, number: int) -> tuple[int, int]:
        """Where part `number`, from 1, begins, and how long it is. Raises BadUpload."""
        if not 1 <= number <= self.part_count:
            raise BadUpload(f"there is no part {number}")
        if self.part_bytes is None:
            return 0, self.size_bytes
        start = (number - 1) * self.part_bytes
        return start, min(self.part_bytes, self.size_bytes - start)


class Uploads:
    """The uploads of one Hub. `received` is told of each object that is complete and right."""

    def __init__(
        self,
        objects: LfsObjects,
        *,
        last_s: float,
        received: Callable[[Upload], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objects = objects
        self._last_s = last_s
        self._received = received
        self._clock = clock
        self._uploads: dict[str, Upload] = {}

    def begin(self, repo: Repository, oid: str, size_bytes: int, *, part_bytes: int | None, by: str | None) -> Upload:
        """Expect an object; uploads whose addresses have expired are forgotten."""
        now_s = self._clock()
        for upload in [upload for upload in self._uploads.values() if now_s > upload.began_s + self._last_s + 60]:
            self._drop(upload)
        upload = Upload(repo, oid, size_bytes, part_bytes, by, self._objects.incoming(), now_s)
        self._uploads[upload.upload_id] = upload
        return upload

    def find(self, upload_id: str) -> Upload | None:
        return self._uploads.get(upload_id)

    async def receive(self, upload: Upload, number: int, chunks: AsyncIterable[bytes]) -> str:
        """Take part `number`, or the whole as part 1; its etag. Raises BadUpload for more or less than its size."""
        start, size_bytes = upload.place_of(number)
        digest = await _write_at(upload.path, start, size_bytes, chunks)
        etag = upload.etags[number] = digest[:32]
        if upload.part_bytes is None:
            self._keep(upload, digest)
        return etag

    async def complete(self, upload: Upload, etags: Mapping[int, str]) -> None:
        """Join the parts. Raises BadUpload when they are not exactly those that came, or not the announced object."""
        if sorted(etags) != list(range(1, upload.part_count + 1)) or etags != upload.etags:
            raise BadUpload("One or more of the specified parts could not be found")
        if not self._keep(upload, await asyncio.to_thread(_sha256, upload.path)):
            raise BadUpload("The parts do not make up the announced object")

    def _keep(self, upload: Upload, digest: str) -> bool:
        right = digest == upload.oid
        if right:
            self._objects.adopt(upload.path, upload.oid)
            self._received(upload)
        self._drop(upload)
        return right

    def _drop(self, upload: Upload) -> None:
        upload.path.unlink(missing_ok=True)
        self._uploads.pop(upload.upload_id, None)


async def _write_at(path: Path, start: int, size_bytes: int, chunks: AsyncIterable[bytes]) -> str:
    """Write exactly so many bytes at a place of a file; their sha256. Parts may be written at the same time."""
    digest, written, waiting = hashlib.sha256(), 0, bytearray()
    # Not in a thread: who is cancelled while a thread opens never gets the file to close it. And not a bare descriptor:
    # a file is not closed while a thread writes to it.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        async for chunk in chunks:
            waiting += chunk
            if written + len(waiting) > size_bytes:
                raise BadUpload("Your proposed upload exceeds the maximum allowed size")
            if len(waiting) >= WRITE_BYTES:
                await asyncio.to_thread(_write, file, bytes(waiting), start + written, digest.update)
                written += len(waiting)
                waiting.clear()
        await asyncio.to_thread(_write, file, bytes(waiting), start + written, digest.update)
        if written + len(waiting) != size_bytes:
            raise BadUpload("You did not provide the number of bytes specified by the Content-Length HTTP header")
    return digest.hexdigest()


def _write(file: BinaryIO, content: bytes, at: int, seen: Callable[[bytes], None]) -> None:
    seen(content)
    file.seek(at)
    file.write(content)
    file.flush()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
