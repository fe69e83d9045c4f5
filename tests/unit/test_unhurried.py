"""Standard error that nobody reads: lines wait, then are dropped and counted; nobody waits for them."""

import os
from collections.abc import Iterator
from threading import Thread

import pytest
from structlog.testing import capture_logs

from hfproxy.unhurried import MOST_WAITING_BYTES, UnhurriedStream

LINE = "x" * 199 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(writing)


def _read_lines(fd: int, count: int) -> list[bytes]:
    with os.fdopen(fd, "rb") as file:
        return [file.readline() for _ in range(count)]


def _wait_for_the_thread(stream: UnhurriedStream) -> None:
    writing: Thread | None = stream._writing
    if writing is not None:
        writing.join(30)


def test_what_does_not_fit_into_a_pipe_waits_and_comes_in_its_order(pipe: tuple[int, int]) -> None:
    stream = UnhurriedStream(pipe[1])
    lines = [f"{number:06}" + LINE for number in range(2000)]
    for first in range(0, len(lines), 50):
        stream.write("".join(lines[first : first + 50]))
    assert _read_lines(pipe[0], len(lines)) == [line.encode() for line in lines]
    _wait_for_the_thread(stream)


def test_what_is_too_much_to_wait_is_dropped_and_told_of_once_there_is_a_reader(pipe: tuple[int, int]) -> None:
    stream = UnhurriedStream(pipe[1])
    count = 2 * MOST_WAITING_BYTES // len(LINE)
    with capture_logs() as told:
        for _ in range(count):
            stream.write(LINE)
        kept = count - stream._dropped_lines
        assert 0 < kept < count
        assert _read_lines(pipe[0], kept) == [LINE.encode()] * kept
        _wait_for_the_thread(stream)
    assert [(line["event"], line["lines"]) for line in told] == [("log.dropped", count - kept)]


def test_a_pipe_whose_reader_has_gone_is_an_error_at_once_and_what_waits_is_forgotten(pipe: tuple[int, int]) -> None:
    stream = UnhurriedStream(pipe[1])
    while not stream._waiting:
        stream.write(LINE)
    os.close(pipe[0])
    _wait_for_the_thread(stream)
    with pytest.raises(BrokenPipeError):
        stream.write(LINE)
