"""A shard: what files are made of, and what is in xorbs. Clients send one with their files; we answer queries with one.

    header     tag, version, size of the footer
    files      each: hash, flags, n | n terms | n proofs | sha256          … and a bookend
    xorbs      each: hash, flags, n, size, packed size | n chunks          … and a bookend
    footer     only in our answers: where the sections begin, and the key of the chunks' hashes

Every row is 48 bytes: a hash and four small numbers. Source: hub-docs `xet/shard.md`.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hfproxy.upstream.xet_hashes import HASH_BYTES, is_queried, keyed, spelled

from .xorbs import Xorb

LARGEST_SHARD_BYTES: Final = 64 * 1024 * 1024
_TAG: Final = b"HFRepoMetaData\0" + bytes.fromhex("55 69 67 45 6a 7b 81 57 83 a5 bd d9 5c cd d1 4a a9")
_HEADER: Final = struct.Struct("<32sQQ")
_ROW: Final = struct.Struct("<32sIIII")
_FOOTER: Final = struct.Struct("<9Q32sQQ48x4Q")
_VERSION, _FOOTER_VERSION = 2, 1
_BOOKEND: Final = b"\xff" * HASH_BYTES
_WITH_PROOFS, _WITH_SHA256 = 1 << 31, 1 << 30
_QUERIED: Final = 1 << 31


class BadShard(ValueError):
    """Not a shard, or one that says what is not so."""


@dataclass(frozen=True, slots=True)
class Term:
    """Some chunks of a xorb, in a row: a part of a file."""

    xorb: bytes
    first: int
    stop: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A file as a client describes it."""

    hash: bytes
    terms: tuple[Term, ...]
    proofs: tuple[bytes, ...]
    """For each term the hash over its chunks' hashes; empty when the client sent none."""
    sha256: str | None


def read_files(shard: bytes) -> list[ShardFile]:
    """The files of a shard as clients upload it; its xorbs tell us nothing, we have them. Raises BadShard."""
    if len(shard) < _HEADER.size or _HEADER.unpack_from(shard)[:2] != (_TAG, _VERSION):
        raise BadShard("not a shard of version 2")
    rows = _rows(shard)
    try:
        return list(iter(lambda: _file(rows), None))
    except StopIteration:
        raise BadShard("the shard ends too early") from None


def shard_of(xorbs: Iterable[Xorb], *, key: bytes, expires_s: int) -> bytes:
    """What a client is told of xorbs that hold a chunk it asked for: their chunks' hashes, each hidden by a key.

    Who has a chunk finds it; who has not learns nothing.
    """
    told = [*xorbs]
    body = _row(_BOOKEND) + b"".join(_told(xorb, key) for xorb in told) + _row(_BOOKEND)
    xorbs_at = _HEADER.size + _ROW.size
    end = _HEADER.size + len(body)
    content = sum(xorb.ends[-1] for xorb in told)
    packed = sum(xorb.packed_bytes for xorb in told)
    footer = _FOOTER.pack(
        *(_FOOTER_VERSION, _HEADER.size, xorbs_at, end, 0, end, 0, end, 0),
        *(key, 0, expires_s, packed, content, content, end),
    )
    return _HEADER.pack(_TAG, _VERSION, len(footer)) + body + footer


def _rows(shard: bytes) -> Iterator[tuple[bytes, int, int, int, int]]:
    whole = (len(shard) - _HEADER.size) // _ROW.size * _ROW.size
    return _ROW.iter_unpack(memoryview(shard)[_HEADER.size : _HEADER.size + whole])


def _file(rows: Iterator[tuple[bytes, int, int, int, int]]) -> ShardFile | None:
    """The next file, None at the bookend."""
    hash_, flags, count, _, _ = next(rows)
    if hash_ == _BOOKEND:
        return None
    terms = []
    for _ in range(count):
        xorb, _, size_bytes, first, stop = next(rows)
        terms.append(Term(xorb, first, stop, size_bytes))
    proofs = [next(rows)[0] for _ in range(count)] if flags & _WITH_PROOFS else []
    sha256 = spelled(next(rows)[0]) if flags & _WITH_SHA256 else None
    return ShardFile(hash_, tuple(terms), tuple(proofs), sha256)


def _told(xorb: Xorb, key: bytes) -> bytes:
    rows = [_row(xorb.hash, 0, len(xorb.chunks), xorb.ends[-1], xorb.packed_bytes)]
    for chunk, start in zip(xorb.chunks, xorb.ends, strict=False):
        flags = _QUERIED if is_queried(chunk.hash) else 0
        rows.append(_row(keyed(key, chunk.hash), start, chunk.size_bytes, flags))
    return b"".join(rows)


def _row(hash_: bytes, *numbers: int) -> bytes:
    return _ROW.pack(hash_, *numbers, *(0,) * (4 - len(numbers)))
