"""What part of a file a request wants, and whether it wants it at all (RFC 9110 sections 13 and 14); pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

# A position of more digits than any file has is no number to work with, and no reader's.
_SPEC = re.compile(r"([0-9]{0,40})-([0-9]{0,40})")
# More than so many ranges in one request are no reader's (RFC 9110 14.2 lets a server ignore Range).
_MOST_RANGES = 64


@dataclass(frozen=True, slots=True)
class Whole:
    """All of it: 200."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The caller has it already: 304."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The caller wants another one: 412."""


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """No byte that was asked for exists: 416."""


@dataclass(frozen=True, slots=True)
class Parts:
    """These parts, half-open, in bytes: 206. `open_ended`: the only one was asked for as «from here to the end»."""

    ranges: tuple[tuple[int, int], ...]
    open_ended: bool = False


Wanted = Whole | Unchanged | Changed | Unsatisfiable | Parts


def wanted(method: str, headers: Mapping[str, str], *, etag: str, size_bytes: int) -> Wanted:
    """What to answer to a GET or HEAD for a file with this etag (no quotes; strong) and size."""
    if (match := headers.get("If-Match")) is not None and not _lists(match, etag, weak=False):
        return Changed()
    if (none_match := headers.get("If-None-Match")) is not None and _lists(none_match, etag, weak=True):
        return Unchanged()
    # Range is defined for GET alone (14.2), and If-Range holds with a strong match only (13.1.5).
    if method != "GET" or (text := headers.get("Range")) is None:
        return Whole()
    if (if_range := headers.get("If-Range")) is not None and if_range.strip() != f'"{etag}"':
        return Whole()
    return _parse(text, size_bytes)


def _parse(text: str, size_bytes: int) -> Wanted:
    unit, _, specs = text.partition("=")
    if unit.strip().lower() != "bytes":
        return Whole()
    ranges: list[tuple[int, int]] = []
    open_ended = False
    for spec in specs.split(","):
        if not spec.strip():
            continue
        match = _SPEC.fullmatch(spec.strip())
        if match is None or match[0] == "-":
            return Whole()  # a Range that cannot be read is ignored
        first, last = match[1], match[2]
        if not first:
            start, stop = max(0, size_bytes - int(last)), size_bytes
        else:
            start, stop = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
            if last and int(last) < int(first):
                return Whole()
            open_ended = not last
        if start < stop:
            ranges.append((start, stop))
    if not ranges:
        return Unsatisfiable()
    if len(ranges) > _MOST_RANGES or sum(stop - start for start, stop in ranges) > 2 * size_bytes:
        return Whole()
    return Parts(tuple(ranges), open_ended and len(ranges) == 1)


def _lists(field: str, etag: str, *, weak: bool) -> bool:
    if field.strip() == "*":
        return True
    given = (tag.strip() for tag in field.split(","))
    return any((tag.removeprefix("W/") if weak else tag) == f'"{etag}"' for tag in given)


@dataclass(frozen=True, slots=True)
class Multipart:
    """The frame of a `multipart/byteranges` answer (RFC 9110 14.6)."""

    ranges: tuple[tuple[int, int], ...]
    size_bytes: int
    content_type: str
    boundary: str

    @classmethod
    def around(cls, parts: Parts, *, size_bytes: int, content_type: str) -> "Multipart":
        return cls(parts.ranges, size_bytes, content_type, uuid4().hex)

    def head(self, start: int, stop: int) -> bytes:
        """What stands before one part's bytes."""
        lines = (
            f"\r\n--{self.boundary}",
            f"Content-Type: {self.content_type}",
            f"Content-Range: bytes {start}-{stop - 1}/{self.size_bytes}",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    @property
    def tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()

    @property
    def length(self) -> int:
        """The whole body's."""
        return sum(len(self.head(*part)) + part[1] - part[0] for part in self.ranges) + len(self.tail)
