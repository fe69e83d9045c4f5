"""A digest beside those who write: one bunch at most waits for it, and what came out of order waits for nothing."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hfproxy.storage.blobs import BlobKey
from hfproxy.storage.following import FollowingDigest

_CONTENT = bytes(range(256)) * 40
_KEY = BlobKey.of(_CONTENT)


@pytest.fixture
def digest(tmp_path: Path) -> Iterator[FollowingDigest]:
    """One of a file whose bytes are all there."""
    (tmp_path / "bytes").write_bytes(_CONTENT)
    fd = os.open(tmp_path / "bytes", os.O_RDONLY)
    yield FollowingDigest(_KEY, len(_CONTENT), fd, lambda _: len(_CONTENT))
    os.close(fd)


def _in_a_thread(digest: FollowingDigest, start: int, stop: int, begun: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=digest.follow, args=(start, [_CONTENT[start:stop]], begun), daemon=True)
    thread.start()
    return thread


def test_the_next_bytes_wait_for_their_turn_and_others_do_not(digest: FollowingDigest) -> None:
    busy, go_on, next_begun, other_begun = (threading.Event() for _ in range(4))

    def hold() -> None:
        busy.set()
        go_on.wait(60)

    first = _in_a_thread(digest, 0, 1000, hold)
    assert busy.wait(60)
    second = _in_a_thread(digest, 1000, 2000, next_begun.set)
    other = _in_a_thread(digest, 5000, 6000, other_begun.set)
    assert other_begun.wait(60)
    other.join(60)
    assert not next_begun.is_set()
    go_on.set()
    assert next_begun.wait(60)
    for thread in (first, second):
        thread.join(60)
    assert digest.finish(len(_CONTENT)) == _KEY.digest


def test_what_came_out_of_order_is_read_back(digest: FollowingDigest) -> None:
    begun: list[int] = []
    for start in (6000, 0, 1000, 3000):
        digest.follow(
            start, [_CONTENT[start : start + 500], _CONTENT[start + 500 : start + 1000]], lambda: begun.append(1)
        )
    assert len(begun) == 4
    assert digest.finish(len(_CONTENT)) == _KEY.digest
