"""Small files that come along with the answer to what they are: one question to the Hub instead of two.

Who downloads a commit asks for each file what it is, and then for its bytes. Where a listing told that a file is small,
the Hub is asked for both at once, by GET on the caller's behalf: what it says of the file is the same, and so is the
right that it proves. Its bytes are in memory when the caller comes back for them.
"""

import asyncio
from contextlib import aclosing

from hfproxy.errors import HubMisspoke, UpstreamError
from hfproxy.features.files.keeping import Keeping
from hfproxy.features.files.listed import Listed
from hfproxy.features.files.memory import BodyMemory
from hfproxy.storage.blobs import BlobKey, BlobProblem, BlobStore
from hfproxy.upstream.downloads import FileBody, FileFacts, HubFiles, Way


class ComingAlong:
    """Asks what files are, as `HubFiles` does; bytes that come along are checked, remembered and kept."""

    def __init__(
        self, *, hub: HubFiles, listed: Listed, memory: BodyMemory, blobs: BlobStore, keeping: Keeping
    ) -> None:
        self._hub, self._listed, self._memory, self._blobs, self._keeping = hub, listed, memory, blobs, keeping
        self._coming: dict[BlobKey, asyncio.Task[bytes | None]] = {}

    async def describe(self, way: Way) -> FileFacts:
        """As `HubFiles.describe`; does not wait for the bytes."""
        ref = way.file
        key = self._listed.small_file(str(ref.repo.folded), ref.revision, ref.path)
        if key is None or await self._is_here(key):
            return await self._hub.describe(way)
        told: asyncio.Future[FileFacts] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._meet(way, key, told), name=f"meet {ref.path}")
        self._coming[key] = task
        task.add_done_callback(lambda _: self._coming.pop(key, None))
        try:
            return await told
        except HubMisspoke:
            return await self._hub.describe(way)

    async def body(self, key: BlobKey) -> bytes | None:
        """The bytes, if they are on their way and arrive whole and right."""
        task = self._coming.get(key)
        return await asyncio.shield(task) if task is not None else None

    async def close(self) -> None:
        """Ends what is on its way."""
        tasks = list(self._coming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _is_here(self, key: BlobKey) -> bool:
        """Whether the bytes are kept, or coming, so that nobody will ask the Hub for them."""
        if key in self._coming or self._memory.get(key) is not None:
            return True
        try:
            kept = await self._blobs.size(key) is not None
        except BlobProblem:
            kept = False
        return kept or key in self._coming  # while the store was asked

    async def _meet(self, way: Way, key: BlobKey, told: asyncio.Future[FileFacts]) -> bytes | None:
        try:
            async with self._hub.meet(way) as (facts, body):
                if not told.done():
                    told.set_result(facts)
                fits = self._memory.takes(facts.size_bytes) and BlobKey.from_etag(facts.etag) == key
                content = await _read(body, facts.size_bytes) if body is not None and fits else None
        except UpstreamError as error:
            if not told.done():
                told.set_exception(error)
            return None  # whoever wants the bytes asks for them, with all the patience that takes
        if content is None or not key.names(content):
            return None
        self._memory.put(key, content)
        self._keeping.add(key, content)
        return content


async def _read(body: FileBody, size_bytes: int) -> bytes:
    """The bytes, and no more of them than there should be."""
    content = bytearray()
    async with aclosing(body.chunks()) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > size_bytes:
                break
    return bytes(content)
