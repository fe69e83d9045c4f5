"""Who is cancelled while a thread works for them waits for its end, and nothing that it opened is lost."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from hfproxy.unstoppable import end_of, opened


def _in_a_thread(work: Callable[[], object]) -> tuple[asyncio.Future[object], threading.Event]:
    """Work that has begun, and waits to be let go on."""
    go_on = threading.Event()

    def held() -> object:
        assert go_on.wait(60)
        return work()

    return asyncio.get_running_loop().run_in_executor(None, held), go_on


async def _cancelled_twice(waiting: asyncio.Task[object], go_on: threading.Event) -> asyncio.CancelledError:
    """What ends the waiting, which lasts until the thread may go on."""
    for _ in range(2):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError) as raised:
        await waiting
    return raised.value


async def test_a_cancelled_caller_waits_for_the_end_of_the_work() -> None:
    done: list[str] = []
    work, go_on = _in_a_thread(lambda: done.append("done"))
    ended = await _cancelled_twice(asyncio.create_task(end_of(work)), go_on)
    assert done == ["done"]
    assert ended.__cause__ is None


async def test_a_cancelled_caller_hears_what_the_work_failed_of() -> None:
    work, go_on = _in_a_thread(lambda: Path("/nowhere/at/all").read_bytes())
    ended = await _cancelled_twice(asyncio.create_task(end_of(work)), go_on)
    assert isinstance(ended.__cause__, FileNotFoundError)


async def test_what_is_opened_for_a_cancelled_caller_is_closed(tmp_path: Path) -> None:
    files: list[BinaryIO] = []

    def open_it() -> BinaryIO:
        files.append((tmp_path / "file").open("wb"))
        return files[0]

    work, go_on = _in_a_thread(open_it)
    await _cancelled_twice(asyncio.create_task(opened(work, lambda _: files[0].close())), go_on)
    assert files[0].closed


async def test_what_cannot_be_opened_is_not_closed() -> None:
    work, go_on = _in_a_thread(lambda: Path("/nowhere/at/all").read_bytes())
    go_on.set()
    with pytest.raises(FileNotFoundError):
        await opened(work, lambda _: pytest.fail("there is nothing to close"))
