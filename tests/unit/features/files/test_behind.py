"""Writing while more arrives: nothing waits for what may never come, and errors are told."""

import asyncio

import pytest

from hfproxy.features.files.behind import WriteBehind
from hfproxy.storage.blobs import StorageFull


class SlowSink:
    """Writes when `go` is set; `full` makes it fail instead."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self.go, self.full = asyncio.Event(), False

    async def write(self, start: int, content: bytes) -> None:
        await self.go.wait()
        if self.full:
            raise StorageFull("full")
        self.pieces.append((start, content))


async def test_what_came_meanwhile_is_written_in_one_piece_though_nothing_follows_it() -> None:
    sink, all_written = SlowSink(), asyncio.Event()
    counted: list[int] = []

    def written(size_bytes: int) -> None:
        counted.append(size_bytes)
        if sum(counted) == 6:
            all_written.set()

    behind = WriteBehind(sink, 10, limit_bytes=100, written=written)
    for piece in (b"ab", b"cd", b"ef"):
        await behind.add(piece)
        await asyncio.sleep(0)  # the first is being written
    sink.go.set()
    await all_written.wait()
    assert sink.pieces == [(10, b"ab"), (12, b"cdef")]


async def test_no_more_is_taken_than_may_wait() -> None:
    sink = SlowSink()
    behind = WriteBehind(sink, 0, limit_bytes=4, written=lambda _: None)
    await behind.add(b"ab")
    await asyncio.sleep(0)
    refused = asyncio.create_task(behind.add(b"cdef"))
    done, _ = await asyncio.wait([refused], timeout=0.01)
    assert not done
    sink.go.set()
    await refused
    await behind.drain()
    assert sink.pieces == [(0, b"ab"), (2, b"cdef")]


async def test_an_error_is_told_to_who_adds_next_and_to_who_drains() -> None:
    sink = SlowSink()
    sink.full = True
    sink.go.set()
    behind = WriteBehind(sink, 0, limit_bytes=4, written=lambda _: None)
    await behind.add(b"ab")
    with pytest.raises(StorageFull):
        await behind.drain()
    with pytest.raises(StorageFull):
        await behind.add(b"cd")


async def test_stopped_it_ends_with_the_piece_in_hand() -> None:
    sink = SlowSink()
    behind = WriteBehind(sink, 0, limit_bytes=100, written=lambda _: None)
    await behind.add(b"ab")
    await asyncio.sleep(0)
    await behind.add(b"cd")
    stopping = asyncio.create_task(behind.stop())
    await asyncio.sleep(0)
    sink.go.set()
    await stopping
    assert sink.pieces == [(0, b"ab")]
