"""One connection that fetches one run of a file's bytes."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import structlog

from hfproxy.errors import HubBroke, HubRefused, UpstreamError
from hfproxy.features.files.behind import WriteBehind
from hfproxy.features.files.patience import Patience
from hfproxy.storage.blobs import PartialBlob
from hfproxy.upstream.downloads import FileBody, HubFiles, Way
from hfproxy.upstream.shares import Share

log = structlog.get_logger(__name__)


class Lane:
    """Fetches [start, stop) in order, and goes on at the missing byte where a connection breaks.

    `position` is how far it is written, `received` how far it has come. `stop` may be lowered while it runs, but not
    below that, to hand the rest to another lane; it stays at the end of a block.
    """

    def __init__(
        self,
        start: int,
        stop: int,
        *,
        ways: list[Way],
        etag: str,
        hub: HubFiles,
        blob: PartialBlob,
        patience: Patience,
        share: Share,
        progressed: Callable[[int], None],
    ) -> None:
        self.start, self.position, self.received, self.stop = start, start, start, stop
        self._ways, self._etag, self._hub, self._blob = ways, etag, hub, blob
        self._patience, self._share, self._progressed = patience, share, progressed

    async def run(self) -> None:
        """Returns when the run is whole. Raises UpstreamError, BlobProblem."""
        failures = 0
        await self._blob.reserve(self.position, self.stop)
        while self.position < self.stop:
            before = self.position
            try:
                await self._fetch(self._ways[0])
            except UpstreamError as error:
                failures = 1 if self.position > before else failures + 1
                if isinstance(error, HubRefused) and len(self._ways) > 1 and error.status in {401, 403, 404}:
                    # Who began may no longer read this; somebody else who follows may.
                    self._ways.pop(0)
                    continue
                if (wait_s := self._patience.wait_s(error, failures)) is None:
                    raise
                log.info(
                    "fill.interrupted", code=error.code, detail=error.detail, position=self.position, wait_s=wait_s
                )
                await asyncio.sleep(wait_s)

    async def _fetch(self, way: Way) -> None:
        size = self._blob.size_bytes
        self.received = self.position
        behind = WriteBehind(self._blob, self.position, share=self._share, written=self._written)
        try:
            async with self._hub.open(
                way, self.position, self.stop, size_bytes=size, etag=self._etag, share=self._share
            ) as body:
                try:
                    await self._receive(body, behind)
                except UpstreamError:
                    await behind.drain()  # what came before it broke is not asked for again
                    raise
                await behind.drain()
        finally:
            await behind.stop()
        if self.received < self.stop:
            raise HubBroke("the file ended before it was whole", position=self.position)

    async def _receive(self, body: FileBody, behind: WriteBehind) -> None:
        at = body.start
        async with aclosing(body.chunks()) as chunks:
            async for chunk in chunks:
                at += len(chunk)
                # A server that ignores ranges begins at 0: what is there already is passed over.
                wanted = chunk[max(0, self.received - (at - len(chunk))) : max(0, self.stop - (at - len(chunk)))]
                if wanted:
                    self.received += len(wanted)
                    await behind.add(wanted)
                del chunk, wanted  # their memory is wanted for the next
                if self.received >= self.stop:
                    return

    def _written(self, size_bytes: int) -> None:
        self.position += size_bytes
        self._progressed(size_bytes)
