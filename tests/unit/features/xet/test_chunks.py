"""Chunks are read however their bytes come, and anything else is told from them."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfproxy.features.xet.chunks import ChunkReader, WrongXorb
from hfproxy.features.xet.models import KeptRange, Piece
from hfproxy.features.xet.store import XorbIndex
from hfproxy.storage.blobs import BlobKey
from hfproxy.storage.opening import open_database
from hfproxy.upstream.xet_hashes import chunk_hash, spelled, xorb_hash

CONTENTS = [Random(1).randbytes(9000), bytes(20_000), Random(2).randbytes(8001), b"abcd" * 3000 + b"abc"]
LEAVES = tuple((chunk_hash(content), len(content)) for content in CONTENTS)
XORB = spelled(xorb_hash(LEAVES))


def packed(content: bytes, packing: int) -> bytes:
    stored = content
    if packing == 2:
        stored = b"".join(content[group::4] for group in range(4))
    if packing:
        stored = lz4.frame.compress(stored)
    return bytes([0, *len(stored).to_bytes(3, "little"), packing, *len(content).to_bytes(3, "little")]) + stored


@given(st.lists(st.integers(0, 2), min_size=4, max_size=4), st.integers(500, 70_000))
def test_chunks_of_every_packing_come_in_any_portions(packings: Sequence[int], portion: int) -> None:
    whole = b"".join(packed(content, packing) for content, packing in zip(CONTENTS, packings, strict=True))
    reader = ChunkReader()
    for at in range(0, len(whole), portion):
        reader.feed(whole[at : at + portion])
    reader.finish(len(CONTENTS))
    assert tuple(reader.leaves) == LEAVES


GOOD = packed(CONTENTS[0], 0)
BOMB = lz4.frame.compress(bytes(2**20))


@pytest.mark.parametrize(
    "content",
    [
        b"<!doctype html><html>",
        GOOD[:-1],
        GOOD + b"XETBLOB\0",
        b"\1" + GOOD[1:],
        GOOD[:4] + b"\7" + GOOD[5:],
        GOOD[:5] + b"\1" + GOOD[6:],
        packed(CONTENTS[1], 1)[:-3] + b"???",
        bytes([0, *len(BOMB).to_bytes(3, "little"), 1, 1, 0, 1]) + BOMB,
        b"",
    ],
)
def test_what_is_no_row_of_whole_chunks_is_refused(content: bytes) -> None:
    reader = ChunkReader()
    with pytest.raises(WrongXorb):
        reader.feed(content)
        reader.finish(1)


REPO = "models/alice/demo"


def kept(first: int, last: int, *, leaves: Sequence[tuple[bytes, int]] = LEAVES, repo: str = REPO) -> KeptRange:
    """The chunks [first, last), as if each had a hundred bytes."""
    start, stop = first * 100, last * 100
    piece = Piece(start, stop, BlobKey.of(b"x"))
    hashes = tuple(leaves[first:last])
    return KeptRange(XORB, start, stop, repo, first, hashes, (piece,), proven=False, kept_at_s=time.time())


WRONG = [(chunk_hash(b"other"), 5)] * len(LEAVES)


async def _index(root: Path, *ranges: KeptRange, xorb_bytes: int | None = None) -> list[tuple[int, int, bool]]:
    async with open_database(root) as database:
        index = XorbIndex(database)
        for each in ranges:
            await index.add(each, xorb_bytes)
        return [(each.start, each.stop, each.proven) for each in await index.touching(XORB, 0, 10_000, repo=REPO)]


async def test_ranges_that_join_to_the_whole_are_proven_by_its_name(tmp_path: Path) -> None:
    assert await _index(tmp_path / "a", kept(2, 4), kept(0, 1)) == [(0, 100, False), (200, 400, False)]
    assert await _index(tmp_path / "a", kept(1, 3)) == [(0, 100, True), (100, 300, True), (200, 400, True)]
    assert await _index(tmp_path / "b", kept(0, 4)) == [(0, 400, True)]


async def test_a_whole_xorb_of_another_name_is_refused_and_parts_that_join_to_one_are_forgotten(tmp_path: Path) -> None:
    with pytest.raises(WrongXorb):
        await _index(tmp_path, kept(0, 4, leaves=WRONG), xorb_bytes=400)
    assert await _index(tmp_path, kept(0, 2, leaves=WRONG), xorb_bytes=400) == [(0, 200, False)]
    assert await _index(tmp_path, kept(2, 4), xorb_bytes=400) == []


async def test_ranges_that_disagree_are_forgotten_and_none_is_kept_against_a_proof(tmp_path: Path) -> None:
    assert await _index(tmp_path, kept(0, 2, leaves=WRONG)) == [(0, 200, False)]
    assert await _index(tmp_path, kept(1, 3)) == []
    assert await _index(tmp_path, kept(0, 4)) == [(0, 400, True)]
    with pytest.raises(WrongXorb):
        await _index(tmp_path, kept(1, 3, leaves=WRONG))
    assert await _index(tmp_path) == [(0, 400, True)]


async def test_what_is_not_proven_is_believed_for_a_week(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        index = XorbIndex(database)
        for wrong_s in (1e9, 9e9):  # long ago, and by a clock that was wrong
            await index.add(replace(kept(0, 1), kept_at_s=wrong_s))
            assert await index.touching(XORB, 0, 100, repo=REPO) == []
        await asyncio.gather(index.add(kept(0, 1)), index.add(kept(1, 2)))
        assert len(await index.touching(XORB, 0, 400, repo=REPO)) == 2


async def test_what_is_not_proven_is_for_its_own_repository_and_what_is_is_for_all(tmp_path: Path) -> None:
    """No part of a xorb has a hash of its own, so a wrong one must not go further than where it came from."""
    async with open_database(tmp_path) as database:
        index = XorbIndex(database)
        await index.add(kept(0, 2, leaves=WRONG))
        assert await index.touching(XORB, 0, 400, repo="models/bob/copy") == []
        assert await index.touching(XORB, 0, 400, repo="") == []
        await index.add(kept(0, 4, repo=""))  # another one says otherwise, and is right
        for repo in (REPO, "models/bob/copy", ""):
            assert [each.proven for each in await index.touching(XORB, 0, 400, repo=repo)] == [True]
        # Parts of several repositories may prove each other.
    async with open_database(tmp_path / "joined") as database:
        index = XorbIndex(database)
        for at, repo in enumerate((REPO, "models/bob/copy", REPO, "")):
            assert await index.touching(XORB, 0, 400, repo="models/carol/other") == []
            await index.add(kept(at, at + 1, repo=repo))
        assert len(await index.touching(XORB, 0, 400, repo="models/carol/other")) == 4
