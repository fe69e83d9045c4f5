"""Numbers of any length in a Range: none is worked with that no file can have."""

import pytest

from hfproxy.downstream.ranges import Parts, Wanted, Whole, wanted


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (f"bytes=0-{2**64 - 1}", Parts(((0, 10),))),
        (f"bytes=0-{'9' * 5000}", Whole()),
        (f"bytes={'0' * 5000}-", Whole()),
        (f"bytes=-{'9' * 5000}", Whole()),
    ],
)
def test_a_position_of_absurdly_many_digits_is_ignored(asked: str, answer: Wanted) -> None:
    assert wanted("GET", {"Range": asked}, etag="e", size_bytes=10) == answer
