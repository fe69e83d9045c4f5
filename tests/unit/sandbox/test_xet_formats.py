"""The formats of the Xet store, compared with what `hf_xet` itself computes."""

from pathlib import Path
from random import Random

import hf_xet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfproxy.sandbox.cas.gear import LARGEST_CHUNK_BYTES, SMALLEST_CHUNK_BYTES, chunk_sizes
from hfproxy.sandbox.cas.laying_out import lay_out
from hfproxy.sandbox.cas.reading import opened
from hfproxy.sandbox.cas.reconstructing import BeyondTheEnd, reconstruct, told_v1, told_v2
from hfproxy.sandbox.cas.shards import BadShard, ShardFile, Term, read_files
from hfproxy.sandbox.cas.store import XetFile, XetStore
from hfproxy.sandbox.cas.xorbs import BadXorb, pack, read_xorb
from hfproxy.upstream.xet_hashes import NOTHING, chunk_hash, file_hash, range_hash, spelled, unspelled, xorb_hash


def content_of(size_bytes: int, seed: int = 1) -> bytes:
    """Bytes that a file of weights could have: some that pack well, some that do not."""
    random = Random(seed)
    return b"".join(
        bytes(64 * 1024) if part % 3 == 0 else random.randbytes(64 * 1024) for part in range(-(-size_bytes // 65536))
    )[:size_bytes]


def cut(content: bytes) -> list[bytes]:
    chunks, at = [], 0
    for size_bytes in chunk_sizes(content):
        chunks.append(content[at : at + size_bytes])
        at += size_bytes
    return chunks


def hashed(chunks: list[bytes]) -> list[tuple[bytes, int]]:
    return [(chunk_hash(chunk), len(chunk)) for chunk in chunks]


@pytest.fixture
def store(tmp_path: Path) -> XetStore:
    return XetStore(tmp_path / "xet")


def keep_xorb(store: XetStore, chunks: list[bytes]) -> bytes:
    path = store.incoming()
    path.write_bytes(b"".join(map(pack, chunks)))
    name = xorb_hash(hashed(chunks))
    assert store.keep_xorb(path, name)
    return name


@pytest.mark.parametrize("size_bytes", [0, 1, 8191, 8192, 70_000, 300_000, 2_000_000])
def test_a_file_has_the_hash_that_hf_xet_gives_it(tmp_path: Path, size_bytes: int) -> None:
    content = content_of(size_bytes, seed=size_bytes)
    path = tmp_path / "file"
    path.write_bytes(content)
    [told] = hf_xet.hash_files([str(path)])
    assert spelled(file_hash(hashed(cut(content)))) == told.hash


def test_chunks_are_neither_small_nor_large_and_make_up_the_file() -> None:
    content = content_of(1_000_000)
    chunks = cut(content)
    assert b"".join(chunks) == content
    assert all(SMALLEST_CHUNK_BYTES <= len(chunk) <= LARGEST_CHUNK_BYTES for chunk in chunks[:-1])


def test_a_spelled_hash_is_read_back_and_nothing_else_is() -> None:
    hash_ = bytes(range(32))
    assert spelled(hash_) == "07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918"
    assert unspelled(spelled(hash_)) == hash_
    for wrong in ("", "00", "0" * 63, "0" * 66, "G" * 64, "A" * 64, "0 " * 32):
        with pytest.raises(ValueError, match=r"not a hash|hexadecimal"):
            unspelled(wrong)


def test_chunks_of_all_three_ways_of_packing_are_read() -> None:
    plain, zeros = Random(1).randbytes(10_000), bytes(10_000)
    assert len(pack(plain)) == 10_008 and len(pack(zeros)) < 200
    grouped = bytearray(pack(bytes(4000) + bytes([1]) * 4000 + bytes([2]) * 4000 + bytes([3]) * 3999))
    grouped[4] = 2
    woven = (bytes([0, 1, 2, 3]) * 4000)[:-1]
    xorb = read_xorb(
        memoryview(pack(plain) + pack(zeros) + bytes(grouped) + b"XETBLOB\1 and what more old clients send")
    )
    assert [chunk.hash for chunk in xorb.chunks] == [chunk_hash(plain), chunk_hash(zeros), chunk_hash(woven)]
    assert xorb.hash == xorb_hash(hashed([plain, zeros, woven]))


@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda tail: pack(b"x" * 9000) + tail))
@settings(max_examples=200, deadline=None)
def test_nonsense_is_no_xorb(nonsense: bytes) -> None:
    try:
        read_xorb(memoryview(nonsense))
    except BadXorb:
        return
    assert nonsense.startswith(pack(b"x" * 9000)) or nonsense[:1] == b"\0"


def test_a_chunk_that_unpacks_to_more_than_a_chunk_may_have_is_refused() -> None:
    packed = pack(bytes(1_000_000))[8:]
    bomb = bytearray(b"\0" + len(packed).to_bytes(3, "little") + b"\1" + (100_000).to_bytes(3, "little") + packed)
    with pytest.raises(BadXorb, match="131073 bytes, not 100000"):
        read_xorb(memoryview(bytes(bomb)))


def test_a_xorb_under_a_wrong_name_is_not_kept(store: XetStore) -> None:
    path = store.incoming()
    path.write_bytes(pack(b"a" * 9000))
    with pytest.raises(BadXorb, match="make up the xorb"):
        store.keep_xorb(path, chunk_hash(b"b"))
    assert store.xorb_count == 0


def test_what_is_laid_out_is_read_back_whole_and_from_anywhere(store: XetStore, tmp_path: Path) -> None:
    content = content_of(1_000_003)
    (tmp_path / "file").write_bytes(content)
    file = lay_out(store, tmp_path / "file")
    with opened(store, file) as stream:
        assert stream.read() == content
        for start in (0, 1, 65_535, 65_536, 500_000, 1_000_002, 1_000_003, 2_000_000):
            stream.seek(start)
            assert stream.read(70_000) == content[start : start + 70_000]


def test_a_second_version_stores_only_what_is_new(store: XetStore, tmp_path: Path) -> None:
    first = Random(1).randbytes(3_000_000)
    second = first[:1_000_000] + b"inserted" + first[1_000_000:]
    for name, content in (("first", first), ("second", second), ("again", second)):
        (tmp_path / name).write_bytes(content)
    lay_out(store, tmp_path / "first")
    before = store.stored_bytes
    file = lay_out(store, tmp_path / "second")
    assert store.stored_bytes - before < 300_000
    assert lay_out(store, tmp_path / "again") == file and store.xorb_count == 2
    with opened(store, file) as stream:
        assert stream.read() == second


def test_a_store_remembers_what_it_was_given(store: XetStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content_of(500_000))
    file = lay_out(store, tmp_path / "file")
    again = XetStore(tmp_path / "xet")
    assert again.by_sha256(file.sha256) == again.file(file.hash) == file
    assert (again.xorb_count, again.chunk_count, again.stored_bytes) == (1, store.chunk_count, store.stored_bytes)
    again.forget_file(file.sha256)
    assert XetStore(tmp_path / "xet").file(file.hash) is None


@pytest.fixture(scope="module")
def repetitive(tmp_path_factory: pytest.TempPathFactory) -> tuple[XetStore, XetFile, bytes]:
    """A file whose terms name the same chunks more than once, and out of order."""
    folder = tmp_path_factory.mktemp("store")
    store = XetStore(folder / "xet")
    part, other = Random(1).randbytes(400_000), Random(2).randbytes(300_000)
    (folder / "first").write_bytes(part)
    lay_out(store, folder / "first")
    content = other + part + part[:200_000] + other
    (folder / "second").write_bytes(content)
    return store, lay_out(store, folder / "second"), content


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_range_is_covered_by_as_few_chunks_as_can_be(
    repetitive: tuple[XetStore, XetFile, bytes], data: st.DataObject
) -> None:
    store, file, content = repetitive
    first = data.draw(st.integers(0, len(content) - 1))
    last = data.draw(st.integers(first, len(content) + 10))
    found = reconstruct(store, file, (first, last))
    covered = b"".join(b"".join(store.read(term)) for term in found.terms)
    assert covered[found.skipped_bytes :][: last - first + 1] == content[first : last + 1]
    assert found.skipped_bytes < LARGEST_CHUNK_BYTES
    # In both versions each chunk that a term names is behind exactly one address.
    for told, runs_of in (
        (told_v1(store, found, lambda *_: "url"), lambda entries: [entry["range"] for entry in entries]),
        (
            told_v2(store, found, lambda *_: "url"),
            lambda entries: [each["chunks"] for entry in entries for each in entry["ranges"]],
        ),
    ):
        for name, entries in (told.get("fetch_info") or told["xorbs"]).items():
            chunks = [chunk for run in runs_of(entries) for chunk in range(run["start"], run["end"])]
            named = {
                chunk
                for term in told["terms"]
                if term["hash"] == name
                for chunk in range(term["range"]["start"], term["range"]["end"])
            }
            assert sorted(chunks) == sorted(named)


def test_beyond_the_end_there_is_nothing(store: XetStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    file = lay_out(store, tmp_path / "file")
    for wanted in ((100, 200), (5, 4)):
        with pytest.raises(BeyondTheEnd):
            reconstruct(store, file, wanted)


CHUNKS = [b"a" * 9000, b"b" * 9000, b"c" * 9000]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"terms": (Term(bytes(32), 0, 3, 27_000),)}, "is not here"),
        ({"first": 2, "stop": 4}, "has no chunks 2 to 4"),
        ({"first": 2, "stop": 2}, "has no chunks 2 to 2"),
        ({"size_bytes": 26_999}, "are not 26999 bytes"),
        ({"proofs": ()}, "without the right proof"),
        ({"proofs": (bytes(32),)}, "without the right proof"),
        ({"hash": NOTHING}, "do not make up the file"),
        ({"sha256": "0" * 64}, "has not the sha256"),
    ],
)
def test_a_shard_that_says_what_is_not_so_is_refused(store: XetStore, changed: dict, said: str) -> None:
    name = keep_xorb(store, CHUNKS)
    right = {"first": 0, "stop": 3, "size_bytes": 27_000} | {
        key: value for key, value in changed.items() if key in {"first", "stop", "size_bytes"}
    }
    fields = {
        "hash": file_hash(hashed(CHUNKS)),
        "terms": (Term(name, **right),),
        "proofs": (range_hash(hash_ for hash_, _ in hashed(CHUNKS)),),
        "sha256": None,
    } | {key: value for key, value in changed.items() if key not in right}
    with pytest.raises(BadShard, match=said):
        store.keep_file(ShardFile(**fields))
    assert store.file(file_hash(hashed(CHUNKS))) is None


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_nonsense_is_no_shard(nonsense: bytes) -> None:
    with pytest.raises(BadShard):
        read_files(nonsense)
