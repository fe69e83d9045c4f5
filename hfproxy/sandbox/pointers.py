"""LFS pointers: the small text that git keeps in place of a large file.

Source: git-lfs `docs/spec.md`.
"""

import re
from dataclasses import dataclass
from typing import Self

from hfproxy.upstream.lfs import pointer

LONGEST_POINTER_BYTES = 1024
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-\d-\w+ [^\n]+\n)*"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>\d+)\n?"
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """One large file: its sha256 and its size."""

    oid: str
    size_bytes: int

    @classmethod
    def parse(cls, content: bytes) -> Self | None:
        """The pointer that a blob's bytes are, if they are one."""
        if len(content) > LONGEST_POINTER_BYTES or not (found := _POINTER.fullmatch(content)):
            return None
        return cls(found["oid"].decode(), int(found["size"]))

    def __bytes__(self) -> bytes:
        return pointer(self.oid, self.size_bytes)
