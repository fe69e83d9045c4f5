"""Where blobs lie on a disk.

    <root>/
    ├── complete/sha256/1f/40/1f40fc92…        an LFS object's bytes, nothing else
    ├── complete/git/45/b9/45b983be…           a git file's bytes
    ├── partial/sha256-1f40fc92….bytes         sparse: written blocks stand where they belong
    ├── partial/sha256-1f40fc92….blocks        which blocks those are (`journal.py`); locked by who writes
    └── incoming/<random>                      small blobs being written; leftovers go when a store is opened

A file under `complete/` was synced before it got its name: what stands there is whole, whatever happened to the
machine. Its modification time is when it was last read, to the hour. All of it lies on one file system.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hfproxy.storage.blobs import Algorithm, BlobInfo, BlobKey

_BYTES, _BLOCKS = ".bytes", ".blocks"
_LEFTOVER_AGE_S = 3600
_STAT_BLOCK_BYTES = 512  # what st_blocks counts in, on every system (POSIX sys/stat.h as Linux and macOS keep it)


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one store. All calls block."""

    root: Path

    def complete(self, key: BlobKey) -> Path:
        digest = key.digest
        return self.root / "complete" / key.algorithm / digest[:2] / digest[2:4] / digest

    def partial_bytes(self, key: BlobKey) -> Path:
        return self.root / "partial" / f"{key}{_BYTES}"

    def partial_blocks(self, key: BlobKey) -> Path:
        return self.root / "partial" / f"{key}{_BLOCKS}"

    @property
    def incoming(self) -> Path:
        return self.root / "incoming"

    def make(self) -> None:
        """Makes the folders; shards come with the first blob that falls into them."""
        # Private repositories lie here beside public ones: other users of the machine have no business in it.
        self.root.mkdir(mode=0o750, parents=True, exist_ok=True)
        for folder in (self.root / "partial", self.incoming):
            folder.mkdir(parents=True, exist_ok=True)
        for algorithm in Algorithm:
            (self.root / "complete" / algorithm).mkdir(parents=True, exist_ok=True)

    def device(self) -> int:
        """The number of the disk that they are on, or would be made on."""
        return _existing(self.root).stat().st_dev

    def unwritable(self) -> Path | None:
        """A folder that nothing can be written in, if one is; one that is not there is made when it is wanted."""
        folders = (self.root / "partial", self.incoming, *(self.root / "complete" / each for each in Algorithm))
        found = dict.fromkeys(map(_existing, folders))
        return next((folder for folder in found if not os.access(folder, os.W_OK | os.X_OK)), None)

    def sweep(self) -> None:
        """Removes what a crash may have left and nobody can use; what is young may be another process's."""
        old = time.time() - _LEFTOVER_AGE_S
        halves = [
            file
            for suffix, other in ((_BYTES, _BLOCKS), (_BLOCKS, _BYTES))
            for file in (self.root / "partial").glob(f"*{suffix}")
            if not file.with_suffix(other).exists()
        ]
        for leftover in [*self.incoming.iterdir(), *halves]:
            with contextlib.suppress(FileNotFoundError):
                if leftover.stat().st_mtime < old:
                    leftover.unlink()

    def list(self) -> Iterator[BlobInfo]:
        """Every blob that is there."""
        for algorithm in Algorithm:
            for folder, _, names in os.walk(self.root / "complete" / algorithm):
                for name in names:
                    key = BlobKey.from_etag(name)
                    if key is not None and (info := _info(Path(folder, name), key, complete=True)):
                        yield info
        for file in (self.root / "partial").glob(f"*{_BYTES}"):
            key = BlobKey.parse(file.name.removesuffix(_BYTES))
            if key is not None and (info := _info(file, key, complete=False)):
                yield info


def _existing(folder: Path) -> Path:
    """The folder, or the nearest around it that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())


def _info(file: Path, key: BlobKey, *, complete: bool) -> BlobInfo | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None  # evicted while we looked
    size_bytes = found.st_size if complete else found.st_blocks * _STAT_BLOCK_BYTES
    return BlobInfo(key, size_bytes, datetime.fromtimestamp(found.st_mtime, UTC), complete)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder as durable as the files they name."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
