"""An end for what stands still, however long it may take as long as it moves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def idle_limit(limit_s: float) -> AsyncIterator[Callable[[], None]]:
    """Gives a function to call whenever something moved. Raises TimeoutError after `limit_s` without a call.

    Moving costs one look at the clock: the timer is set anew only when it fires.
    """
    loop = asyncio.get_running_loop()
    last = loop.time()
    timer = loop.call_later(limit_s, lambda: look())

    def moved() -> None:
        nonlocal last
        last = loop.time()

    def look() -> None:
        nonlocal timer
        due = last + limit_s
        if loop.time() < due:
            timer = loop.call_at(due, look)
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        try:
            yield moved
        finally:
            timer.cancel()
