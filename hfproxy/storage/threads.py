"""Blocking disk calls off the event loop, and what their errors mean."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from hfproxy.storage.blobs import BlobStoreBroken, StorageFull
from hfproxy.unstoppable import end_of, opened

P = ParamSpec("P")
T = TypeVar("T")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskThreads:
    """The threads that touch one disk."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="disk")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns. A cancelled caller waits for its end: a descriptor must not be closed under it.

        Raises StorageFull, BlobStoreBroken (its cause is the OSError). A CancelledError whose cause is None says that
        the function did all it should.
        """
        loop = asyncio.get_running_loop()
        return await _outcome(end_of(loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))))

    async def opened(self, function: Callable[[], T], *, close: Callable[[T], object]) -> T:
        """What the function opens, as in `run`; closed again for a caller who is cancelled, and so never holds it."""
        loop = asyncio.get_running_loop()
        return await _outcome(opened(loop.run_in_executor(self._pool, function), close))

    async def begin(self, function: Callable[[Callable[[], object]], object]) -> None:
        """Returns as soon as the function calls what it is called with, which it must; it may work on after that.

        Up to there it raises, and is cancelled, as in `run`; what the function raises later is lost.
        """
        loop = asyncio.get_running_loop()
        far_enough: asyncio.Future[None] = loop.create_future()

        def settle(error: BaseException | None) -> None:
            if far_enough.done():
                return
            if error is None:
                far_enough.set_result(None)
            else:
                far_enough.set_exception(error)

        def work() -> None:
            try:
                function(partial(loop.call_soon_threadsafe, settle, None))
            except BaseException as error:  # handed on, as an executor does
                loop.call_soon_threadsafe(settle, error)

        self._pool.submit(work)
        await _outcome(end_of(far_enough))

    def end(self) -> None:
        """Waits for what is under way; blocks."""
        self._pool.shutdown(wait=True)


async def _outcome(work: Awaitable[T]) -> T:
    try:
        return await work
    except OSError as error:
        told = f"{error.strerror}: {error.filename}" if error.filename else f"{error.strerror}"
        raise (StorageFull if error.errno in _FULL else BlobStoreBroken)(told) from error
