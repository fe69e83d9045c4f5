"""`Range` headers: what RFC 9110 allows is understood, all else is the whole content, nothing reaches past the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfproxy.sandbox.ranges import ByteRange, Unsatisfiable, parse_ranges

SIZES = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-99", [(0, 100)]),
        ("bytes=10-", [(10, 100)]),
        ("bytes=-30", [(70, 100)]),
        ("bytes=-300", [(0, 100)]),
        ("bytes=90-2000", [(90, 100)]),
        ("BYTES=1-2", [(1, 3)]),
        ("bytes=0-1, 5-6 ,,-1", [(0, 2), (5, 7), (99, 100)]),
        ("bytes=500-600,0-0", [(0, 1)]),
        ("bytes=5-6,0-1,0-1", [(5, 7), (0, 2), (0, 2)]),
        ("bytes=0-" + "9" * 30, [(0, 100)]),
        *[
            (header, None)
            for header in ("", "bytes", "bytes=", "bytes=a-b", "bytes=2-1", "bytes=--1", "bytes=1", "items=0-1")
        ],
        *[(header, None) for header in ("bytes=-", "bytes=0-1,x", "bytes=٠-١", "bytes=0 - 1", "bytes=+0-1")],
        ("bytes=" + ",".join(["0-0"] * 65), None),
    ],
)
def test_headers_of_a_content_of_a_hundred_bytes(header, expected):
    ranges = parse_ranges(header, 100)
    assert ranges == (expected and [ByteRange(*pair) for pair in expected])


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=100-,500-600"])
def test_what_lies_beyond_the_end_cannot_be_satisfied(header):
    with pytest.raises(Unsatisfiable):
        parse_ranges(header, 100)


@given(st.text(alphabet="bytes=0123456789-, x", max_size=40), SIZES)
def test_any_text_is_a_whole_a_refusal_or_parts_within_the_content(header, whole_bytes):
    try:
        ranges = parse_ranges(header, whole_bytes)
    except Unsatisfiable:
        return
    for part in ranges or []:
        assert 0 <= part.start < part.stop <= whole_bytes


@given(st.data(), st.integers(1, 10_000))
def test_a_range_within_the_content_is_answered_exactly(data, whole_bytes):
    start = data.draw(st.integers(0, whole_bytes - 1))
    last = data.draw(st.integers(start, whole_bytes + 10))
    [part] = parse_ranges(f"bytes={start}-{last}", whole_bytes)
    assert (part.start, part.stop) == (start, min(last + 1, whole_bytes))
    assert part.content_range(whole_bytes) == f"bytes {start}-{min(last, whole_bytes - 1)}/{whole_bytes}"


@given(st.integers(1, 20_000), st.integers(1, 10_000))
def test_a_suffix_is_the_end_of_the_content(length, whole_bytes):
    [part] = parse_ranges(f"bytes=-{length}", whole_bytes)
    assert (part.stop, part.size_bytes) == (whole_bytes, min(length, whole_bytes))
