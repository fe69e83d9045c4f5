"""Xet's hashes: of chunks, of xorbs and files made of them, and their spelling.

Source: hub-docs `xet/hashing.md` and `xet/file-id.md`. All are BLAKE3 with a key for each purpose. In memory a hash is
its 32 bytes; in addresses and JSON it is four little-endian words in hex, which is not the plain hex of those bytes.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from blake3 import blake3

HASH_BYTES: Final = 32
NOTHING: Final = bytes(HASH_BYTES)
"""The hash of a file without content."""

_CHUNK_KEY: Final = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
_NODE_KEY: Final = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
_RANGE_KEY: Final = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
_FILE_KEY: Final = bytes(32)
_MOST_CHILDREN: Final = 9
_FEWEST_CHILDREN: Final = 3
_QUERIED_EVERY: Final = 1024


def spelled(hash_: bytes) -> str:
    """A hash as addresses and JSON spell it."""
    return b"".join(hash_[at : at + 8][::-1] for at in range(0, HASH_BYTES, 8)).hex()


def unspelled(text: str) -> bytes:
    """The bytes of a spelled hash. Raises ValueError."""
    raw = bytes.fromhex(text)
    if len(raw) != HASH_BYTES or text != raw.hex():
        raise ValueError(f"not a hash: {text!r}")
    return b"".join(raw[at : at + 8][::-1] for at in range(0, HASH_BYTES, 8))


def chunk_hash(content: bytes | memoryview) -> bytes:
    return blake3(content, key=_CHUNK_KEY).digest()


def xorb_hash(chunks: Sequence[tuple[bytes, int]]) -> bytes:
    """The hash of chunks (their hashes and sizes) in this order: the root of a tree whose branching they decide."""
    nodes = list(chunks)
    while len(nodes) > 1:
        merged = []
        start = 0
        while start < len(nodes):
            stop = _end_of_group(nodes, start)
            merged.append(_merged(nodes[start:stop]))
            start = stop
        nodes = merged
    return nodes[0][0] if nodes else NOTHING


def file_hash(chunks: Sequence[tuple[bytes, int]]) -> bytes:
    return keyed(_FILE_KEY, xorb_hash(chunks)) if chunks else NOTHING


def range_hash(chunk_hashes: Iterable[bytes]) -> bytes:
    """What proves, in a shard, that the writer of a term knew all of its chunks."""
    return keyed(_RANGE_KEY, b"".join(chunk_hashes))


def keyed(key: bytes, message: bytes) -> bytes:
    return blake3(message, key=key).digest()


def is_queried(hash_: bytes) -> bool:
    """Whether clients ask the store for this chunk wherever in a file it stands; for a file's first they ask always."""
    return int.from_bytes(hash_[24:], "little") % _QUERIED_EVERY == 0


def _end_of_group(nodes: Sequence[tuple[bytes, int]], start: int) -> int:
    """Where a group of siblings ends: after a node whose hash says so, from the third on, or after nine."""
    latest = min(start + _MOST_CHILDREN, len(nodes))
    for at in range(start + _FEWEST_CHILDREN - 1, latest):
        if nodes[at][0][24] % 4 == 0:
            return at + 1
    return latest


def _merged(siblings: Sequence[tuple[bytes, int]]) -> tuple[bytes, int]:
    text = "".join(f"{spelled(hash_)} : {size_bytes}\n" for hash_, size_bytes in siblings)
    return keyed(_NODE_KEY, text.encode()), sum(size_bytes for _, size_bytes in siblings)
