"""`Range` headers, read as RFC 9110 section 14 says."""

import re
from dataclasses import dataclass

# Far more than any client asks for at once; beyond it a request is an attack, and answered whole (section 14.2).
MOST_RANGES = 64

_INT_RANGE = re.compile(r"([0-9]{1,40})-([0-9]{0,40})")
_SUFFIX_RANGE = re.compile(r"-([0-9]{1,40})")


class Unsatisfiable(ValueError):
    """Every range lies beyond the end: answered with 416."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes [start, stop) of a content."""

    start: int
    stop: int

    @property
    def size_bytes(self) -> int:
        return self.stop - self.start

    def content_range(self, whole_bytes: int) -> str:
        """The `Content-Range` of this part."""
        return f"bytes {self.start}-{self.stop - 1}/{whole_bytes}"


def parse_ranges(header: str, whole_bytes: int) -> list[ByteRange] | None:
    """The parts that a header asks for, in its order, cut to what is there.

    None means the whole content: the header has another unit, is malformed, or names more parts than is decent.
    Raises Unsatisfiable.
    """
    unit, equals, listed = header.partition("=")
    if not equals or unit.strip().casefold() != "bytes":
        return None
    specs = [spec.strip(" \t") for spec in listed.split(",")]
    specs = [spec for spec in specs if spec]
    if not specs or len(specs) > MOST_RANGES:
        return None
    ranges = []
    for spec in specs:
        found = _one(spec, whole_bytes)
        if found is None:
            return None
        if found.size_bytes > 0:
            ranges.append(found)
    if not ranges:
        raise Unsatisfiable(header)
    return ranges


def _one(spec: str, whole_bytes: int) -> ByteRange | None:
    """One range, empty when it lies beyond the end; None when it makes no sense."""
    if suffix := _SUFFIX_RANGE.fullmatch(spec):
        return ByteRange(max(0, whole_bytes - int(suffix[1])), whole_bytes)
    if not (found := _INT_RANGE.fullmatch(spec)):
        return None
    start, last = int(found[1]), int(found[2]) if found[2] else whole_bytes - 1
    if found[2] and last < start:
        return None
    return ByteRange(min(start, whole_bytes), max(min(last + 1, whole_bytes), min(start, whole_bytes)))
