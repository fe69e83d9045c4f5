"""Xorbs and the files made of them, in a folder: one store for all repositories of a Hub.

    <root>/xorbs/ab/abcd…        one xorb's chunks, complete and verified
    <root>/xorbs/ab/abcd….index  their hashes, sizes and packed sizes
    <root>/files/abcd…           one file: its sha256, its size, its terms
    <root>/incoming/<random>     what is being written; emptied at the start

Which repository may name which file is the repository's own record (`RepoRecord.lfs`), not the store's. Xorbs stay when
files go: clients remember for weeks which chunks are here, and would not send them again.
"""

import hashlib
import json
import secrets
import shutil
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hfproxy.upstream.xet_hashes import HASH_BYTES, file_hash, range_hash, spelled, unspelled

from .shards import BadShard, ShardFile, Term
from .xorbs import BadXorb, Chunk, Xorb, read_xorb, unpacked

_INDEX: Final = struct.Struct(f"<{HASH_BYTES}sII")
# How many xorbs a query for one chunk may tell of: those of one large file.
_MOST_TOLD: Final = 64


@dataclass(frozen=True, slots=True)
class XetFile:
    """A file that can be put together from xorbs."""

    hash: bytes
    sha256: str
    size_bytes: int
    terms: tuple[Term, ...]

    @property
    def name(self) -> str:
        return spelled(self.hash)


class XetStore:
    """Keeps xorbs as files, and remembers where each chunk is. Writes run in threads, one at a time (`Cas.writing`)."""

    def __init__(self, root: Path) -> None:
        self._xorbs_at, self._files_at, self._incoming = root / "xorbs", root / "files", root / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        for folder in (self._xorbs_at, self._files_at, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)
        self._xorbs: dict[bytes, Xorb] = {}
        self._chunks: dict[bytes, tuple[Xorb, int]] = {}
        self._files: dict[bytes, XetFile] = {}
        self._by_sha256: dict[str, XetFile] = {}
        for path in sorted(self._xorbs_at.glob("*/*.index")):
            self._know(Xorb(Chunk(*row) for row in _INDEX.iter_unpack(path.read_bytes())))
        for path in self._files_at.iterdir():
            self._name(_read_file(path.read_text()))

    # Looking

    def xorb(self, hash_: bytes) -> Xorb | None:
        return self._xorbs.get(hash_)

    def file(self, hash_: bytes) -> XetFile | None:
        return self._files.get(hash_)

    def by_sha256(self, sha256: str) -> XetFile | None:
        return self._by_sha256.get(sha256)

    def chunk(self, hash_: bytes) -> tuple[Xorb, int] | None:
        """The xorb that has a chunk, and its place there."""
        return self._chunks.get(hash_)

    def path(self, xorb: Xorb) -> Path:
        """The file with a xorb's chunks."""
        return self._xorbs_at / xorb.name[:2] / xorb.name

    @property
    def stored_bytes(self) -> int:
        """What all xorbs take, packed as they are."""
        return sum(xorb.packed_bytes for xorb in self._xorbs.values())

    @property
    def xorb_count(self) -> int:
        return len(self._xorbs)

    @property
    def chunk_count(self) -> int:
        """How many different chunks there are."""
        return len(self._chunks)

    def told_of(self, hash_: bytes) -> list[Xorb]:
        """What to tell who asks for a chunk: the xorb that has it, and the others of files made of that one."""
        found = self._chunks.get(hash_)
        if found is None:
            return []
        told = {found[0].hash: found[0]}
        for file in list(self._files.values()):  # another thread may add one
            if any(term.xorb == found[0].hash for term in file.terms):
                told |= {term.xorb: self._xorbs[term.xorb] for term in file.terms}
        return list(told.values())[:_MOST_TOLD]

    # Keeping

    def incoming(self) -> Path:
        """A new path for a xorb on its way in."""
        return self._incoming / secrets.token_hex(8)

    def keep_xorb(self, path: Path, expected: bytes) -> bool:
        """Take a file of `incoming()` for the xorb of this hash; False when it was here. Raises BadXorb."""
        xorb = read_xorb(memoryview(path.read_bytes()))
        if xorb.hash != expected:
            raise BadXorb(f"these chunks make up the xorb {xorb.name}")
        if xorb.hash in self._xorbs:
            return False
        target = self.path(xorb)
        target.parent.mkdir(exist_ok=True)
        with path.open("r+b") as file:
            file.truncate(xorb.packed_bytes)  # a footer goes
        index = path.with_suffix(".index")
        index.write_bytes(
            b"".join(_INDEX.pack(chunk.hash, chunk.size_bytes, chunk.packed_bytes) for chunk in xorb.chunks)
        )
        path.replace(target)
        index.replace(target.with_suffix(".index"))  # the last step: without it nothing is known of the other file
        self._know(xorb)
        return True

    def keep_file(self, described: ShardFile) -> XetFile:
        """A file of a shard, if its terms are here and make up what it says. Raises BadShard."""
        if known := self._files.get(described.hash):
            self._check_sha256(described, known.sha256)
            return known
        hashes: list[tuple[bytes, int]] = []
        proofs = described.proofs or (None,) * len(described.terms)
        for term, proof in zip(described.terms, proofs, strict=True):
            chunks = self._chunks_of(term)
            if proof != range_hash(chunk.hash for chunk in chunks):
                raise BadShard(f"a term of xorb {spelled(term.xorb)} without the right proof")
            hashes += [(chunk.hash, chunk.size_bytes) for chunk in chunks]
        if file_hash(hashes) != described.hash:
            raise BadShard(f"these chunks do not make up the file {spelled(described.hash)}")
        digest = hashlib.sha256()
        for term in described.terms:
            for content in self.read(term):
                digest.update(content)
        self._check_sha256(described, digest.hexdigest())
        size_bytes = sum(size for _, size in hashes)
        return self.keep_right_file(XetFile(described.hash, digest.hexdigest(), size_bytes, described.terms))

    def keep_right_file(self, file: XetFile) -> XetFile:
        """A file whose terms and sha256 the caller vouches for."""
        path = self._incoming / file.name
        path.write_text(_written_file(file))
        path.replace(self._files_at / file.name)
        self._name(file)
        return file

    def forget_file(self, sha256: str) -> None:
        """Forget a file; its chunks stay."""
        if self._by_sha256.pop(sha256, None) is not None:
            for file in [file for file in self._files.values() if file.sha256 == sha256]:
                del self._files[file.hash]
                (self._files_at / file.name).unlink(missing_ok=True)

    def read(self, term: Term) -> Iterable[bytes]:
        """The contents of a term's chunks, one by one."""
        xorb = self._xorbs[term.xorb]
        with self.path(xorb).open("rb") as file:
            for number in range(term.first, term.stop):
                start, stop = xorb.packed_ends[number], xorb.packed_ends[number + 1]
                file.seek(start)
                yield from unpacked(memoryview(file.read(stop - start)))

    def _chunks_of(self, term: Term) -> Sequence[Chunk]:
        xorb = self._xorbs.get(term.xorb)
        if xorb is None:
            raise BadShard(f"xorb {spelled(term.xorb)} is not here")
        if not 0 <= term.first < term.stop <= len(xorb.chunks):
            raise BadShard(f"xorb {xorb.name} has no chunks {term.first} to {term.stop}")
        if xorb.size_of(term.first, term.stop) != term.size_bytes:
            raise BadShard(f"chunks {term.first} to {term.stop} of xorb {xorb.name} are not {term.size_bytes} bytes")
        return xorb.chunks[term.first : term.stop]

    def _check_sha256(self, described: ShardFile, sha256: str) -> None:
        if described.sha256 not in {None, sha256}:
            raise BadShard(f"the file {spelled(described.hash)} has not the sha256 {described.sha256}")

    def _know(self, xorb: Xorb) -> None:
        self._xorbs[xorb.hash] = xorb
        for number, chunk in enumerate(xorb.chunks):
            self._chunks.setdefault(chunk.hash, (xorb, number))

    def _name(self, file: XetFile) -> None:
        self._files[file.hash] = file
        self._by_sha256.setdefault(file.sha256, file)  # cut in another way it is another file; announced is the first


def _written_file(file: XetFile) -> str:
    terms = [[spelled(term.xorb), term.first, term.stop, term.size_bytes] for term in file.terms]
    return json.dumps({"hash": file.name, "sha256": file.sha256, "size": file.size_bytes, "terms": terms})


def _read_file(text: str) -> XetFile:
    told = json.loads(text)
    terms = tuple(Term(unspelled(xorb), *numbers) for xorb, *numbers in told["terms"])
    return XetFile(unspelled(told["hash"]), told["sha256"], told["size"], terms)
