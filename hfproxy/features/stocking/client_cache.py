"""A cache of `huggingface_hub` on this machine: its files are taken in, each checked against its name.

What a file of a commit is called cannot be checked without the Hub. So only bytes are taken: a gateway asks the Hub for
the names when they are wanted, and finds the bytes there. Layout: `huggingface_hub`, guides/manage-cache.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hfproxy.features.stocking.importing import take_in
from hfproxy.storage.blobs import Algorithm, BlobKey, BlobStore, WrongBytes, begin_digest

_CHUNK_BYTES = 4 * 1024**2
_FOLDERS = ("models--", "datasets--", "spaces--", "kernels--")
_ONLY_AS_LFS_BYTES = 10 * 1024**2
"""Larger files are never regular ones on the Hub (contract 5), so that only their sha256 can be asked for."""


class Unusable(Exception):
    """A file that cannot be taken, and why."""


@dataclass(frozen=True, slots=True)
class CachedFile:
    """One file of the cache. key: what it calls itself; None where there are no symbolic links, as on Windows."""

    file: Path
    size_bytes: int
    key: BlobKey | None


def cached_files(cache: Path) -> Iterator[CachedFile]:
    """What may be taken in, each hash once; unfinished downloads are passed over.

    Without symbolic links the client moves a file from `blobs` into its snapshot, where its name tells no hash.
    """
    seen: set[BlobKey] = set()
    for folder in sorted(cache.iterdir()):
        if not folder.name.startswith(_FOLDERS):
            continue
        for file in _files_in(folder / "blobs"):
            key = BlobKey.from_etag(file.name)
            if key is not None and key not in seen:
                seen.add(key)
                yield CachedFile(file, file.stat().st_size, key)
        for file in _files_in(folder / "snapshots"):
            yield CachedFile(file, file.stat().st_size, None)


async def take_in_cached(cached: CachedFile, blobs: BlobStore, *, progressed: Callable[[int], None]) -> bool:
    """Whether any of it was new. Raises Unusable, BlobProblem."""
    keys = [cached.key] if cached.key is not None else await asyncio.to_thread(_hashes, cached)
    new = [key for key in keys if await blobs.size(key) is None]
    try:
        for key in new:
            await take_in(blobs, key, cached.size_bytes, _chunks(cached.file), progressed=lambda _: None)
    except WrongBytes:
        raise Unusable(f"{cached.file} is not what its name says") from None
    progressed(cached.size_bytes)
    return bool(new)


def _files_in(folder: Path) -> Iterator[Path]:
    """The plain files below a folder; links are passed over, and not followed."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (file for name in sorted(names) if (file := Path(root, name)).is_file() and not file.is_symlink())


def _hashes(cached: CachedFile) -> list[BlobKey]:
    """What the Hub may call it."""
    algorithms = [Algorithm.SHA256] if cached.size_bytes > _ONLY_AS_LFS_BYTES else list(Algorithm)
    digests = {each: begin_digest(each, cached.size_bytes) for each in algorithms}
    try:
        with cached.file.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                for digest in digests.values():
                    digest.update(chunk)
    except OSError as error:
        raise Unusable(str(error)) from None
    return [BlobKey(algorithm, digest.hexdigest()) for algorithm, digest in digests.items()]


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise Unusable(str(error)) from None
