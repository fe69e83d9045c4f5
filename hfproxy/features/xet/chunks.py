"""The chunks of a xorb's range: read, decoded and hashed as its bytes come.

A range is chunks and nothing else, each behind a head of eight bytes: version, packed size (three bytes,
little-endian), packing, size (xet-core, `xorb_chunk_format.rs`). The chunks' hashes are the leaves of the tree whose
root is the xorb's name: who has all of them can prove the bytes, who has some can only tell that they are well formed.
"""

from typing import Final

import lz4.frame

from hfproxy.upstream.xet_hashes import chunk_hash

_HEAD_BYTES = 8
_LARGEST_CHUNK_BYTES = 128 * 1024
_PLAIN, _LZ4, _GROUPED_LZ4 = 0, 1, 2
_GROUPS: Final = 4

Leaf = tuple[bytes, int]
"""A chunk's hash and its size."""


class WrongXorb(Exception):
    """The bytes are no chunks, or others than were promised."""


class ChunkReader:
    """Takes a range's bytes in any portions; its calls compute, and are for a thread."""

    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self._rest = b""

    def feed(self, content: bytes) -> None:
        """Takes in the next bytes. Raises WrongXorb."""
        view = memoryview(self._rest + content if self._rest else content)
        at = 0
        while len(view) - at >= _HEAD_BYTES:
            head = bytes(view[at : at + _HEAD_BYTES])
            packed, packing, size = int.from_bytes(head[1:4], "little"), head[4], int.from_bytes(head[5:8], "little")
            if head[0] != 0 or not 0 < size <= _LARGEST_CHUNK_BYTES or not 0 < packed <= 2 * _LARGEST_CHUNK_BYTES:
                raise WrongXorb(f"no chunk begins with {head.hex()}")
            begin = at + _HEAD_BYTES
            if len(view) < begin + packed:
                break
            self.leaves.append((chunk_hash(_unpacked(view[begin : begin + packed], packing, size)), size))
            at = begin + packed
        self._rest = bytes(view[at:])

    def finish(self, chunks: int) -> None:
        """Passes if all that came were so many whole chunks. Raises WrongXorb."""
        if self._rest or len(self.leaves) != chunks:
            raise WrongXorb(f"{len(self.leaves)} chunks and {len(self._rest)} bytes where {chunks} chunks should be")


def _unpacked(packed: memoryview, packing: int, size: int) -> bytes | memoryview:
    if packing == _PLAIN:
        content: bytes | memoryview = packed
    elif packing in {_LZ4, _GROUPED_LZ4}:
        try:
            # Not `decompress`: a few packed bytes must not become more than a chunk may have.
            content = lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=_LARGEST_CHUNK_BYTES + 1)
        except RuntimeError as error:
            raise WrongXorb(f"a chunk cannot be unpacked: {error}") from None
    else:
        raise WrongXorb(f"packing {packing}")
    if len(content) != size:
        raise WrongXorb(f"a chunk of {len(content)} bytes that says it has {size}")
    return _ungrouped(content) if packing == _GROUPED_LZ4 else content


def _ungrouped(content: bytes | memoryview) -> bytes:
    """Every first byte of four, then every second, …, put back where they belong (xet-core, `byte_grouping/bg4.rs`)."""
    size, start = len(content), 0
    whole = bytearray(size)
    for group in range(_GROUPS):
        stop = start + (size - group + _GROUPS - 1) // _GROUPS
        whole[group::_GROUPS] = content[start:stop]
        start = stop
    return bytes(whole)
