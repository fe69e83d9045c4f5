"""All downloads under way: one for each blob, whoever asks for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from hfproxy.features.files.connections import Connections
from hfproxy.features.files.fill import Fill, FillPolicy, Reader
from hfproxy.storage.blobs import BlobKey, BlobProblem, BlobStore
from hfproxy.upstream.downloads import HubFiles, Way


class OtherSize(BlobProblem):
    """These bytes were told of with a size that is not theirs: who was told so has to do without what is kept."""


class Fills:
    """Owns the downloads; `close` it before the store."""

    def __init__(self, *, hub: HubFiles, blobs: BlobStore, policy: FillPolicy, most_connections: int = 64) -> None:
        self._hub, self._blobs, self._policy = hub, blobs, policy
        self._connections = Connections(most_connections)
        self._fills: dict[BlobKey, Fill] = {}
        self._turns: WeakValueDictionary[BlobKey, asyncio.Lock] = WeakValueDictionary()
        self._retiring: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def following(
        self, key: BlobKey, size_bytes: int, way: Way, etag: str, *, start: int, stop: int, whole: bool
    ) -> AsyncIterator[tuple[Fill, Reader]]:
        """The one download of this blob, begun if there is none, with a place for a reader of [start, stop).

        way: how this reader would get it; it serves the download if those of earlier readers are closed. Raises
        BlobProblem where the store cannot take it, and the caller must do without.
        """
        fill = await self._fill(key, size_bytes, way, etag)
        try:
            with fill.following(start, stop, whole=whole) as reader:
                yield fill, reader
        finally:
            self._retire_when_over(fill)

    def __contains__(self, key: BlobKey) -> bool:
        return key in self._fills

    async def close(self) -> None:
        """Ends all downloads; what is there of them stays for the next start."""
        await asyncio.gather(*(fill.stop() for fill in self._fills.values()))
        await asyncio.gather(*self._retiring)
        for fill in self._fills.values():
            await fill.blob.close()
        self._fills.clear()

    async def _fill(self, key: BlobKey, size_bytes: int, way: Way, etag: str) -> Fill:
        turn = self._turns.get(key) or self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            fill = self._fills.get(key)
            if fill is None or fill.useless:
                blob = await self._blobs.partial(key, size_bytes)
                fill = Fill(blob, way, etag, hub=self._hub, policy=self._policy, connections=self._connections)
                self._fills[key] = fill
            elif fill.blob.size_bytes != size_bytes:
                raise OtherSize(f"{fill.blob.size_bytes} bytes are on their way, and {size_bytes} are wanted")
            elif all((known.ref, known.credential) != (way.ref, way.credential) for known in fill.ways):
                fill.ways.append(way)
            return fill

    def _retire_when_over(self, fill: Fill) -> None:
        if not fill.readers:
            task = asyncio.create_task(self._retire(fill), name=f"retire {fill.key}")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, fill: Fill) -> None:
        """Lets go of a download that is over and that nobody reads."""
        await fill.finished()
        turn = self._turns.get(fill.key) or self._turns.setdefault(fill.key, asyncio.Lock())
        async with turn:
            if fill.readers or fill.running:
                return
            if self._fills.get(fill.key) is fill:
                del self._fills[fill.key]
            await fill.blob.close()
