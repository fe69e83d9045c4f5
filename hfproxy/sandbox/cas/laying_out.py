"""Files that came without Xet, cut into chunks and packed into a xorb, as the Hub does with what is uploaded by LFS.

Chunks that are here already, wherever they came from, are named and not stored again.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from hfproxy.upstream.xet_hashes import chunk_hash, file_hash, xorb_hash

from .gear import chunk_sizes
from .shards import Term
from .store import XetFile, XetStore
from .xorbs import Xorb, pack

# Cutting is pure Python, 15 MB a second. Larger files that came without Xet are not offered by Xet; as all of this fits
# into one xorb, none needs a second.
LARGEST_LAID_OUT_BYTES: Final = 32 * 1024 * 1024


def lay_out(store: XetStore, path: Path) -> XetFile:
    """Put a file into the store."""
    content = memoryview(path.read_bytes())
    chunks = {}
    order = []
    for piece in _pieces(content):
        hash_ = chunk_hash(piece)
        chunks[hash_] = piece
        order.append((hash_, len(piece)))
    new = {hash_: piece for hash_, piece in chunks.items() if store.chunk(hash_) is None}
    if new:
        incoming = store.incoming()
        with incoming.open("wb") as file:
            for piece in new.values():
                file.write(pack(piece))
        store.keep_xorb(incoming, xorb_hash([(hash_, len(piece)) for hash_, piece in new.items()]))
    terms = tuple(_terms(store, (hash_ for hash_, _ in order)))
    return store.keep_right_file(XetFile(file_hash(order), hashlib.sha256(content).hexdigest(), len(content), terms))


def _pieces(content: memoryview) -> Iterator[memoryview]:
    at = 0
    for size_bytes in chunk_sizes(content):
        yield content[at : at + size_bytes]
        at += size_bytes


def _terms(store: XetStore, hashes: Iterable[bytes]) -> Iterator[Term]:
    """Where these chunks are, neighbours told of as one term."""
    run: tuple[Xorb, int, int] | None = None
    for hash_ in hashes:
        place = store.chunk(hash_)
        assert place is not None
        xorb, number = place
        if run is not None and run[0] is xorb and run[2] == number:
            run = (xorb, run[1], number + 1)
            continue
        if run is not None:
            yield _term(*run)
        run = (xorb, number, number + 1)
    if run is not None:
        yield _term(*run)


def _term(xorb: Xorb, first: int, stop: int) -> Term:
    return Term(xorb.hash, first, stop, xorb.size_of(first, stop))
