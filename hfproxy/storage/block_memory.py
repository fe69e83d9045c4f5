"""Recent blocks in memory: many who read a file together, or a file in pieces, cost the bucket one question a block."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable


class BlockMemory:
    """The most recently used blocks, up to so many bytes; each is fetched once, whoever asks."""

    def __init__(self, limit_bytes: int, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        self._limit, self._fetch = limit_bytes, fetch
        self._blocks: OrderedDict[str, bytes] = OrderedDict()
        self._used = 0
        self._fetching: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, name: str) -> bytes:
        """A block. Raises BlobStoreBroken."""
        if (known := self._blocks.get(name)) is not None:
            self._blocks.move_to_end(name)
            return known
        return await asyncio.shield(self._fetched(name))

    def ahead(self, name: str) -> None:
        """Begins to fetch a block that will be wanted soon."""
        if name not in self._blocks:
            self._fetched(name)

    def put(self, name: str, content: bytes) -> None:
        """Takes in a block that was just written."""
        if name in self._blocks or len(content) > self._limit:
            return
        self._blocks[name] = content
        self._used += len(content)
        while self._used > self._limit:
            _, dropped = self._blocks.popitem(last=False)
            self._used -= len(dropped)

    async def close(self) -> None:
        """Ends what is being fetched."""
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    def _fetched(self, name: str) -> asyncio.Task[bytes]:
        task = self._fetching.get(name)
        if task is None:
            task = self._fetching[name] = asyncio.create_task(self._load(name), name=f"block {name}")
            task.add_done_callback(lambda ended: self._ended(name, ended))
        return task

    async def _load(self, name: str) -> bytes:
        content = await self._fetch(name)
        self.put(name, content)
        return content

    def _ended(self, name: str, task: asyncio.Task[bytes]) -> None:
        self._fetching.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waits gets it; what was fetched ahead nobody may have wanted
