"""A partial blob that another gateway writes to the bucket, followed by what is noted of it in the database."""

from hfproxy.storage.blobs import BlobKey
from hfproxy.storage.block_memory import BlockMemory
from hfproxy.storage.blocks import Blocks
from hfproxy.storage.catalog import Catalog
from hfproxy.storage.object_names import object_name


class ObjectFollowed:
    """A `FollowedBlob` in a bucket."""

    fd = None

    def __init__(
        self, key: BlobKey, size_bytes: int, block_size: int, *, catalog: Catalog, memory: BlockMemory
    ) -> None:
        self.key, self.size_bytes = key, size_bytes
        self._blocks = Blocks(size_bytes, block_size)
        self._series: dict[int, str] = {}
        self._catalog, self._memory = catalog, memory

    def ready_until(self, start: int) -> int:
        return self._blocks.ready_until(start)

    async def look(self, start: int) -> bool:
        kept = await self._catalog.find(self.key)
        if kept is None or kept.complete or not kept.being_written:
            return False
        if (kept.size_bytes, kept.block_bytes) != (self.size_bytes, self._blocks.block_size):
            return False
        ready = self._blocks.ready_until(start)
        for block, series in (await self._catalog.there(self.key, ready // self._blocks.block_size)).items():
            if block not in self._series:
                self._series[block] = series
                begin = block * self._blocks.block_size
                self._blocks.add(begin, begin + self._blocks.length(block))
        return True

    async def read(self, start: int, stop: int) -> bytes:
        parts = []
        grain = self._blocks.block_size
        for block in self._blocks.touching(start, stop):
            content = await self._memory.get(object_name(self.key, self._series[block], block))
            parts.append(content[max(0, start - block * grain) : min(grain, stop - block * grain)])
        return b"".join(parts)

    def close(self) -> None:
        pass
