"""Writing while more arrives: nothing waits for what may never come, and errors are told."""

import asyncio

import pytest

from hfproxy.features.files.behind import WriteBehind
from hfproxy.storage.blobs import StorageFull
from hfproxy.upstream.shares import Crowd, Share


class SlowSink:
    """Writes when `go` is set; `full` makes it fail instead."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, bytes]] = []
        self.begun, self.go, self.full = asyncio.Event(), asyncio.Event(), False

    async def write(self, start: int, *pieces: bytes) -> None:
        self.begun.set()
        await self.go.wait()
        if self.full:
            raise StorageFull("full")
        self.calls.append((start, b"".join(pieces)))


async def test_what_comes_together_is_written_together() -> None:
    sink = SlowSink()
    sink.go.set()
    behind = WriteBehind(sink, 10, share=Share(50), written=lambda _: None)
    for piece in (b"ab", b"cd", b"ef"):
        await behind.add(piece)
    await behind.drain()
    assert sink.calls == [(10, b"abcdef")]


async def test_what_is_enough_is_written_though_more_comes_with_it() -> None:
    sink = SlowSink()
    sink.go.set()
    behind = WriteBehind(sink, 0, share=Share(2), written=lambda _: None)
    for piece in (b"ab", b"cd", b"ef"):
        await behind.add(piece)
    await behind.drain()
    assert sink.calls == [(0, b"abcd"), (4, b"ef")]


async def test_what_came_meanwhile_is_written_in_one_call_though_nothing_follows_it() -> None:
    sink, all_written = SlowSink(), asyncio.Event()
    counted: list[int] = []

    def written(size_bytes: int) -> None:
        counted.append(size_bytes)
        if sum(counted) == 6:
            all_written.set()

    behind = WriteBehind(sink, 10, share=Share(50), written=written)
    await behind.add(b"ab")
    await sink.begun.wait()
    for piece in (b"cd", b"ef"):
        await behind.add(piece)
    sink.go.set()
    await all_written.wait()
    assert sink.calls == [(10, b"ab"), (12, b"cdef")]


async def test_no_more_is_taken_than_may_wait() -> None:
    sink = SlowSink()
    behind = WriteBehind(sink, 0, share=Share(2), written=lambda _: None)
    await behind.add(b"ab")
    await sink.begun.wait()
    refused = asyncio.create_task(behind.add(b"cdef"))
    done, _ = await asyncio.wait([refused], timeout=0.01)
    assert not done
    sink.go.set()
    await refused
    await behind.drain()
    assert sink.calls == [(0, b"ab"), (2, b"cdef")]


async def test_in_a_crowd_nothing_waits_behind_what_is_written() -> None:
    sink = SlowSink()
    behind = WriteBehind(sink, 0, share=Share(50, Crowd(turns=1, unit_bytes=50)), written=lambda _: None)
    adding = asyncio.create_task(behind.add(b"ab"))
    await sink.begun.wait()
    assert not adding.done()
    sink.go.set()
    await adding
    assert sink.calls == [(0, b"ab")]


async def test_an_error_is_told_to_who_adds_next_and_to_who_drains() -> None:
    sink = SlowSink()
    sink.full = True
    sink.go.set()
    behind = WriteBehind(sink, 0, share=Share(2), written=lambda _: None)
    await behind.add(b"ab")
    with pytest.raises(StorageFull):
        await behind.drain()
    with pytest.raises(StorageFull):
        await behind.add(b"cd")


async def test_stopped_it_ends_with_the_pieces_in_hand() -> None:
    sink = SlowSink()
    counted: list[int] = []
    behind = WriteBehind(sink, 0, share=Share(50), written=counted.append)
    await behind.add(b"ab")
    await sink.begun.wait()
    await behind.add(b"cd")
    stopping = asyncio.create_task(behind.stop())
    await asyncio.sleep(0)
    sink.go.set()
    await stopping
    assert (sink.calls, counted) == ([(0, b"ab")], [2])


async def test_stopped_before_it_began_it_writes_nothing() -> None:
    sink = SlowSink()
    sink.go.set()
    counted: list[int] = []
    behind = WriteBehind(sink, 0, share=Share(50), written=counted.append)
    await behind.add(b"ab")
    await behind.stop()
    assert (sink.calls, counted) == ([], [])
