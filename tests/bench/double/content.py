"""Synthetic files: any size by name, always the same bytes, no two blocks alike, hashes known.

`seven-1073741824.bin` is a file of 1 GiB; another word before the dash makes another file of the same size.
"""

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

BLOCK_BYTES = 1024**2
# What the Hub keeps in git itself, and what it keeps as large objects (contract 4.2); the line is ours.
LARGEST_GIT_FILE_BYTES = 64 * 1024
_NAME = re.compile(r"([a-z0-9]+)-(\d+)\.bin")


# A pattern is a MiB: an hour's soak names a hundred thousand files.
@lru_cache(maxsize=64)
def _pattern(seed: str) -> bytes:
    return random.Random(seed).randbytes(BLOCK_BYTES)


@dataclass(frozen=True)
class SyntheticFile:
    """A file that exists as soon as it is named."""

    seed: str
    size_bytes: int

    @staticmethod
    @cache
    def named(name: str) -> "SyntheticFile | None":
        """The file of this name; the same object each time, since its hash takes a second for each gigabyte."""
        match = _NAME.fullmatch(name)
        return SyntheticFile(match[1], int(match[2])) if match else None

    @property
    def name(self) -> str:
        return f"{self.seed}-{self.size_bytes}.bin"

    @property
    def in_git(self) -> bool:
        return self.size_bytes <= LARGEST_GIT_FILE_BYTES

    def blocks(self) -> Iterator[bytes]:
        """The content: the seed's pattern, each block begun by its number, so that a block in the wrong place shows."""
        pattern = _pattern(self.seed)
        for number in range(-(-self.size_bytes // BLOCK_BYTES)):
            block = number.to_bytes(8, "big") + pattern[8:]
            yield block[: self.size_bytes - number * BLOCK_BYTES]

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()

    @cached_property
    def git_oid(self) -> str:
        digest = hashlib.sha1(f"blob {self.size_bytes}\0".encode(), usedforsecurity=False)
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()

    @property
    def etag(self) -> str:
        """The Hub's name for the content."""
        return self.git_oid if self.in_git else self.sha256

    def written_to(self, folder: Path) -> Path:
        """Its place on disk, written there unless it is there already."""
        path = folder / self.name
        if not path.exists():
            with path.open("wb") as file:
                file.writelines(self.blocks())
        return path
