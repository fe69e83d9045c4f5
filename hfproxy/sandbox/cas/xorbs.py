"""A xorb: many chunks in one object, each behind a header of eight bytes, packed or not.

    version 0 | packed size, 3 bytes | how it is packed | size, 3 bytes | the chunk …

Source: hub-docs `xet/xorb.md`. A footer, which old clients send along, begins with `XETBLOB` and is not kept: all that
it says follows from the chunks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import lz4.frame

from hfproxy.upstream.xet_hashes import chunk_hash, spelled, xorb_hash

from .gear import LARGEST_CHUNK_BYTES

LARGEST_XORB_BYTES: Final = 64 * 1024 * 1024
"""Of content: a xorb of chunks that do not pack is larger by their headers."""
MOST_CHUNKS: Final = 8 * 1024
HEADER_BYTES: Final = 8
_FOOTER: Final = b"XETBLOB"
_AS_IT_IS, _LZ4, _GROUPED_LZ4 = range(3)


class BadXorb(ValueError):
    """Not a xorb, or not the one that its name says."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a xorb."""

    hash: bytes
    size_bytes: int
    packed_bytes: int
    """With its header."""


class Xorb:
    """What is known of a stored xorb; its bytes are in a file."""

    __slots__ = ("chunks", "ends", "hash", "packed_ends")

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self.chunks = tuple(chunks)
        self.hash = xorb_hash([(chunk.hash, chunk.size_bytes) for chunk in self.chunks])
        self.ends = (0, *accumulate(chunk.size_bytes for chunk in self.chunks))
        """Where the chunks end in the content: chunk `n` is `ends[n]` to `ends[n + 1]`."""
        self.packed_ends = (0, *accumulate(chunk.packed_bytes for chunk in self.chunks))
        """The same in the stored bytes."""

    @property
    def name(self) -> str:
        return spelled(self.hash)

    @property
    def packed_bytes(self) -> int:
        return self.packed_ends[-1]

    def size_of(self, first: int, stop: int) -> int:
        """How much content the chunks `first` to before `stop` are."""
        return self.ends[stop] - self.ends[first]


def read_xorb(packed: memoryview) -> Xorb:
    """The xorb in these bytes, every chunk unpacked and hashed. Raises BadXorb."""
    chunks: list[Chunk] = []
    at = 0
    while at < len(packed) and bytes(packed[at : at + len(_FOOTER)]) != _FOOTER:
        content, packed_bytes = _unpack(packed, at)
        chunks.append(Chunk(chunk_hash(content), len(content), packed_bytes))
        at += packed_bytes
    content_bytes = sum(chunk.size_bytes for chunk in chunks)
    if not chunks or len(chunks) > MOST_CHUNKS or content_bytes > LARGEST_XORB_BYTES:
        raise BadXorb(f"{len(chunks)} chunks of {content_bytes} bytes")
    return Xorb(chunks)


def unpacked(packed: memoryview) -> Iterator[bytes]:
    """The contents of all chunks in a row of them. Raises BadXorb."""
    at = 0
    while at < len(packed):
        content, packed_bytes = _unpack(packed, at)
        yield content
        at += packed_bytes


def pack(content: bytes | memoryview) -> bytes:
    """A chunk as it is stored here: with its header, and with LZ4 where that saves anything."""
    squeezed = lz4.frame.compress(content, store_size=False)
    kind, stored = (_LZ4, squeezed) if len(squeezed) < len(content) else (_AS_IT_IS, bytes(content))
    return b"\0%b%c%b%b" % (_three(len(stored)), kind, _three(len(content)), stored)


def _unpack(packed: memoryview, at: int) -> tuple[bytes, int]:
    """The content of the chunk that begins at `at`, and how many bytes it takes there. Raises BadXorb."""
    header = bytes(packed[at : at + HEADER_BYTES])
    if len(header) < HEADER_BYTES or header[0] != 0:
        raise BadXorb(f"no chunk at byte {at}")
    stored_bytes, kind, size_bytes = (
        int.from_bytes(header[1:4], "little"),
        header[4],
        int.from_bytes(header[5:], "little"),
    )
    stored = packed[at + HEADER_BYTES : at + HEADER_BYTES + stored_bytes]
    if len(stored) < stored_bytes or not 0 < size_bytes <= LARGEST_CHUNK_BYTES:
        raise BadXorb(f"a chunk at byte {at} of {size_bytes} bytes, {len(stored)} of {stored_bytes} there")
    content = _content(kind, stored)
    if len(content) != size_bytes:
        raise BadXorb(f"the chunk at byte {at} has {len(content)} bytes, not {size_bytes}")
    return content, HEADER_BYTES + stored_bytes


def _content(kind: int, stored: memoryview) -> bytes:
    if kind == _AS_IT_IS:
        return bytes(stored)
    if kind not in {_LZ4, _GROUPED_LZ4}:
        raise BadXorb(f"chunks are not packed in way {kind}")
    try:
        # Not `decompress`: a few packed bytes must not become more than a chunk may have.
        content = lz4.frame.LZ4FrameDecompressor().decompress(stored, max_length=LARGEST_CHUNK_BYTES + 1)
    except RuntimeError as error:
        raise BadXorb(str(error)) from None
    return content if kind == _LZ4 else _woven(content)


def _woven(grouped: bytes) -> bytes:
    """Bytes in their order again, which were stored as all first ones of four, then all second ones, and so on."""
    content, at = bytearray(len(grouped)), 0
    for lane in range(4):
        size_bytes = len(content[lane::4])
        content[lane::4] = grouped[at : at + size_bytes]
        at += size_bytes
    return bytes(content)


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")
