"""Work that cannot be stopped half way, as a thread's: who is cancelled waits for its end, and loses nothing by it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def end_of(work: asyncio.Future[T]) -> T:
    """What the work returns. A cancelled caller waits for its end too: a descriptor must not be closed under a thread.

    A CancelledError whose cause is None says that the work did all it should.
    """
    cancelled = False
    while not work.done():
        try:
            # Not a shield, which from Python 3.14 on reports an error that nobody waits for as a fault of ours.
            await asyncio.wait([work])
        except asyncio.CancelledError:  # a second one ends no thread either
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError from work.exception()
    return work.result()


async def opened(work: asyncio.Future[T], close: Callable[[T], object]) -> T:
    """What the work opens. A cancelled caller never gets to hold it, and so it is closed for them."""
    try:
        return await end_of(work)
    except asyncio.CancelledError:
        if not work.cancelled() and work.exception() is None:
            close(work.result())
        raise
