"""The map from blocks to objects survives being printed, whatever it holds."""

from hypothesis import given
from hypothesis import strategies as st

from hfproxy.storage.blobs import BlobKey
from hfproxy.storage.object_names import names, object_name, parsed, printed

SERIES = st.sampled_from(["a" * 32, "b" * 32, "c" * 32])


@given(st.dictionaries(st.integers(0, 100_000), SERIES))
def test_a_map_is_read_as_it_was_printed(objects: dict[int, str]) -> None:
    assert parsed(printed(objects)) == objects


def test_a_large_file_of_one_writer_is_a_short_text() -> None:
    assert printed(dict.fromkeys(range(50_000), "a" * 32)) == f"{'a' * 32}:0-49999"


def test_every_object_of_a_blob_is_named() -> None:
    key = BlobKey.of(b"bytes")
    assert names(key, {1: "b", 0: "a"}) == [object_name(key, "a", 0), object_name(key, "b", 1)]
