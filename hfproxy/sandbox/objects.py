"""The bytes of large files, by their sha256: one store for all repositories of a Hub.

What came whole lies in a folder; what came by Xet is put together from its chunks when it is read (`cas/`).

    <root>/ab/cd/abcd…           one object, complete and verified
    <root>/incoming/<random>     what is being written; emptied at the start

Which repository may name which object is the repository's own record (`RepoRecord.lfs`), not the store's.
"""

import asyncio
import hashlib
import secrets
import shutil
from collections.abc import AsyncIterable
from pathlib import Path
from typing import BinaryIO

from .cas.reading import opened
from .cas.store import XetStore


class WrongContent(ValueError):
    """The bytes are not those that their name or size says; nothing was kept."""


class LfsObjects:
    """Keeps objects as files, so that none ever sits in memory."""

    def __init__(self, root: Path, by_xet: XetStore) -> None:
        self._by_xet = by_xet
        self._root = root
        self._incoming = root / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)

    def path(self, oid: str) -> Path:
        """Where an object lies that came whole, or would lie."""
        return self._root / oid[:2] / oid[2:4] / oid

    def is_whole(self, oid: str) -> bool:
        """Whether an object lies at its `path`."""
        return self.path(oid).is_file()

    def has(self, oid: str) -> bool:
        return self.size_bytes(oid) is not None

    def size_bytes(self, oid: str) -> int | None:
        """An object's size, None when it is not here."""
        try:
            return self.path(oid).stat().st_size
        except FileNotFoundError:
            file = self._by_xet.by_sha256(oid)
            return file.size_bytes if file else None

    def open(self, oid: str) -> BinaryIO:
        """An object to read. Raises FileNotFoundError."""
        file = None if self.is_whole(oid) else self._by_xet.by_sha256(oid)
        return self.path(oid).open("rb") if file is None else opened(self._by_xet, file)

    def incoming(self) -> Path:
        """A new path for bytes on their way in, on the same file system as the objects."""
        return self._incoming / secrets.token_hex(8)

    async def write(self, oid: str, size_bytes: int, chunks: AsyncIterable[bytes]) -> None:
        """Keep what comes, if it has this sha256 and size. Raises WrongContent."""
        path, digest, written = self.incoming(), hashlib.sha256(), 0
        try:
            with path.open("wb") as file:
                async for chunk in chunks:
                    digest.update(chunk)
                    written += len(chunk)
                    await asyncio.to_thread(file.write, chunk)
            if written != size_bytes or digest.hexdigest() != oid:
                raise WrongContent(f"{written} bytes of sha256 {digest.hexdigest()}, not {size_bytes} of {oid}")
            self.adopt(path, oid)
        finally:
            path.unlink(missing_ok=True)

    def put(self, content: bytes) -> str:
        """Keep small content that is in memory anyway, such as a seed's; its sha256."""
        oid = hashlib.sha256(content).hexdigest()
        if not self.is_whole(oid):
            path = self.incoming()
            path.write_bytes(content)
            self.adopt(path, oid)
        return oid

    def adopt(self, path: Path, oid: str) -> None:
        """Make a verified file of `incoming()` the object of this name, in one step."""
        target = self.path(oid)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)

    def remove(self, oid: str) -> None:
        self.path(oid).unlink(missing_ok=True)
        self._by_xet.forget_file(oid)
