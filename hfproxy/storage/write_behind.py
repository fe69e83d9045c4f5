"""Writing behind: what is noted in memory is brought to the database now and then, and at the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def written_behind(write: Callable[[], Awaitable[None]], *, every_s: float, name: str) -> AsyncIterator[None]:
    """Calls `write` every so often while the context lasts, and once more at its end.

    A write is never cut short: what it has taken in hand to bring to the database would be lost with it.
    """
    ended = asyncio.Event()

    async def run() -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await ended.wait()
            await write()

    task = asyncio.create_task(run(), name=name)
    try:
        yield
    finally:
        ended.set()
        await task
        await write()  # what was noted while the last one was under way
