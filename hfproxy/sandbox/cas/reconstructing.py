"""How a client puts a file, or a part of it, together: terms, and addresses where their chunks can be had.

Sources: contract section 5.3; hub-docs `xet/download-protocol.md`; xet-core `openapi/cas.openapi.yaml`.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from hfproxy.upstream.xet_hashes import spelled

from .shards import Term
from .store import XetFile, XetStore
from .xorbs import Xorb

ByteRange = tuple[int, int]
"""First and last byte."""
Sign = Callable[[Xorb, Sequence[ByteRange]], str]
"""Makes an address that gives these ranges of a xorb's bytes, and no others."""

# More ranges in one address would make a request that servers take for an attack.
_RANGES_OF_AN_ADDRESS: Final = 32


class BeyondTheEnd(ValueError):
    """Nothing of the file lies in the range: answered with 416."""


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """The terms that cover a range of a file."""

    terms: tuple[Term, ...]
    skipped_bytes: int
    """How much of the first term lies before the range."""


def reconstruct(store: XetStore, file: XetFile, wanted: ByteRange | None) -> Reconstruction:
    """What covers a range, no chunk more. Raises BeyondTheEnd."""
    first, last = wanted or (0, file.size_bytes - 1)
    if first > last or (first >= file.size_bytes and file.size_bytes):
        raise BeyondTheEnd
    terms: list[Term] = []
    skipped_bytes = start = 0
    for term in file.terms:
        xorb = store.xorb(term.xorb)
        assert xorb is not None
        base = xorb.ends[term.first] - start
        chunks = [
            chunk
            for chunk in range(term.first, term.stop)
            if xorb.ends[chunk] - base <= last and xorb.ends[chunk + 1] - base > first
        ]
        if chunks:
            if not terms:
                skipped_bytes = first - (xorb.ends[chunks[0]] - base)
            terms.append(Term(term.xorb, chunks[0], chunks[-1] + 1, xorb.size_of(chunks[0], chunks[-1] + 1)))
        start += term.size_bytes
    return Reconstruction(tuple(terms), skipped_bytes)


def told_v1(store: XetStore, found: Reconstruction, sign: Sign) -> dict[str, Any]:
    """An address for each run of chunks."""
    fetch_info = {}
    for xorb, runs in _runs(store, found):
        fetch_info[xorb.name] = [
            {"range": _span(run), "url": sign(xorb, [_bytes(xorb, run)]), "url_range": _span(_bytes(xorb, run))}
            for run in runs
        ]
    return {**_told_terms(found), "fetch_info": fetch_info}


def told_v2(store: XetStore, found: Reconstruction, sign: Sign) -> dict[str, Any]:
    """An address for each xorb, good for all of its runs that are needed."""
    xorbs = {}
    for xorb, runs in _runs(store, found):
        parts = [runs[at : at + _RANGES_OF_AN_ADDRESS] for at in range(0, len(runs), _RANGES_OF_AN_ADDRESS)]
        xorbs[xorb.name] = [
            {
                "url": sign(xorb, [_bytes(xorb, run) for run in part]),
                "ranges": [{"chunks": _span(run), "bytes": _span(_bytes(xorb, run))} for run in part],
            }
            for part in parts
        ]
    return {**_told_terms(found), "xorbs": xorbs}


def _told_terms(found: Reconstruction) -> dict[str, Any]:
    terms = [
        {"hash": spelled(term.xorb), "unpacked_length": term.size_bytes, "range": _span((term.first, term.stop))}
        for term in found.terms
    ]
    return {"offset_into_first_range": found.skipped_bytes, "terms": terms}


def _runs(store: XetStore, found: Reconstruction) -> list[tuple[Xorb, list[tuple[int, int]]]]:
    """For each xorb the chunks that are needed, as runs without gaps: first and one after the last."""
    needed: defaultdict[bytes, set[int]] = defaultdict(set)
    for term in found.terms:
        needed[term.xorb].update(range(term.first, term.stop))
    told = []
    for hash_, chunks in needed.items():
        xorb = store.xorb(hash_)
        assert xorb is not None
        runs = []
        for _, members in groupby(enumerate(sorted(chunks)), key=lambda each: each[1] - each[0]):
            run = [chunk for _, chunk in members]
            runs.append((run[0], run[-1] + 1))
        told.append((xorb, runs))
    return told


def _bytes(xorb: Xorb, run: tuple[int, int]) -> ByteRange:
    return xorb.packed_ends[run[0]], xorb.packed_ends[run[1]] - 1


def _span(pair: tuple[int, int]) -> dict[str, int]:
    return {"start": pair[0], "end": pair[1]}
