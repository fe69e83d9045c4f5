"""Work that is done to its end, though whoever asked for it goes away."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

import structlog

from hfproxy.errors import Overloaded, ProxyError

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Errands:
    """Runs what must not stop half way, such as a write of several steps, in tasks of its own.

    A caller who hangs up stops waiting, nothing more. The process waits for what runs when it is stopped, but no
    longer than it waits for callers: `patience_s` from `hurry` on.
    """

    def __init__(self, *, most: int, patience_s: float) -> None:
        self._most, self._patience_s = most, patience_s
        self._running: set[asyncio.Task[object]] = set()
        self._ends_at: float | None = None

    async def run(self, work: Callable[[], Awaitable[T]], *, name: str) -> T:
        """What `work` returns or raises. Raises Overloaded where too much is under way, also for callers long gone."""
        if len(self._running) >= self._most:
            raise Overloaded(f"{len(self._running)} writes are under way")

        async def errand() -> T:
            return await work()

        task = asyncio.create_task(errand(), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            # Not a shield, which from Python 3.14 on reports an error that nobody waits for as a fault of ours.
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.add_done_callback(_tell)
            raise
        return task.result()

    def hurry(self) -> None:
        """The process is to end: what runs has `patience_s` more."""
        self._ends_at = monotonic() + self._patience_s

    async def close(self) -> None:
        """Waits for what runs, then ends what still does."""
        if not self._running:
            return
        left_s = self._patience_s if self._ends_at is None else max(0.0, self._ends_at - monotonic())
        _, late = await asyncio.wait(list(self._running), timeout=left_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


def _tell(task: asyncio.Task[object]) -> None:
    name = task.get_name()
    if task.cancelled():
        log.warning("errand.finished", name=name, outcome="cancelled")
    elif (error := task.exception()) is None:
        log.info("errand.finished", name=name, outcome="ok")
    elif isinstance(error, ProxyError):
        log.info("errand.finished", name=name, outcome=error.code)
    else:
        log.error("errand.finished", name=name, outcome="Unexpected", exc_info=error)
