"""A Hub that answers nothing until it is told to, so that any number of calls are under way at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.scripted_hub import Asked, Reply, read_request
from tests.support.waiting import PATIENCE_S


class HeldHub:
    """Counts who comes and who goes, and lets them wait; connections are kept after an answer."""

    def __init__(self, reply: Reply) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.connections = 0
        self._reply = reply
        self._arrived, self._left = asyncio.Semaphore(0), asyncio.Semaphore(0)
        self._release = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()

    async def arrived(self, calls: int) -> None:
        """Returns once so many more calls have come."""
        await _times(self._arrived, calls)

    async def left(self, calls: int) -> None:
        """Returns once so many more callers have gone away without an answer."""
        await _times(self._left, calls)

    def release(self) -> None:
        """Answers all that wait, and all that come, at once."""
        self._release.set()

    async def hang_up(self) -> None:
        """Closes every connection."""
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        try:
            while (asked := await read_request(reader)) is not None:
                self.asked.append(asked)
                self._arrived.release()
                if not await self._released_before_the_end_of(reader):
                    self._left.release()
                    break
                await self._reply(asked, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # asyncio would write an error about a cancelled one
        finally:
            self._serving.discard(task)
            writer.close()

    async def _released_before_the_end_of(self, reader: asyncio.StreamReader) -> bool:
        if self._release.is_set():
            return True
        released = asyncio.create_task(self._release.wait())
        # Who waits for an answer sends nothing more: what can be read is the end.
        ended = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({released, ended}, return_when=asyncio.FIRST_COMPLETED)
            return self._release.is_set()
        finally:
            for each in (released, ended):
                each.cancel()
            await asyncio.gather(released, ended, return_exceptions=True)


@asynccontextmanager
async def held_hub(reply: Reply) -> AsyncIterator[HeldHub]:
    """A running one; it answers with `reply` once released."""
    hub = HeldHub(reply)
    server = await asyncio.start_server(hub.serve, "127.0.0.1", 0, limit=1024 * 1024, backlog=2048)
    hub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield hub
    finally:
        server.close()
        await hub.hang_up()


async def _times(semaphore: asyncio.Semaphore, times: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(times):
            await semaphore.acquire()
