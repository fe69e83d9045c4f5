"""One range of a xorb on its way: fetched once, read by any number while it comes, kept when it is right."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from dataclasses import dataclass

import structlog

from hfproxy.downstream.sending import FilePiece, pieces_of
from hfproxy.errors import HubBroke, HubMisspoke, HubSentWrongBytes, PlaceExpired, UpstreamError
from hfproxy.features.files.patience import Patience
from hfproxy.features.xet.chunks import ChunkReader, WrongXorb
from hfproxy.features.xet.models import KeptRange, Piece
from hfproxy.features.xet.store import XorbIndex
from hfproxy.storage.blobs import BlobKey, BlobProblem, BlobStore
from hfproxy.upstream.xet import XorbRange
from hfproxy.upstream.xorbs import Xorbs

log = structlog.get_logger(__name__)

PIECE_BYTES = 4 * 1024**2
_COPY_BYTES = 256 * 1024


@dataclass(slots=True, eq=False)
class Part:
    """Bytes from `start` on: in memory until they are kept as a blob."""

    start: int
    content: bytearray | bytes | None
    key: BlobKey | None = None
    stop: int = 0


class XorbFetch:
    """It belongs to the service, not to who asked first: a client that hangs up ends its own answer alone.

    The last byte is held back until all of the range is right, so nobody completes a wrong one. Two pieces at most are
    in memory: the one that grows and the one that is being written.
    """

    def __init__(
        self, place: XorbRange, repo: str, *, xorbs: Xorbs, blobs: BlobStore, index: XorbIndex, patience: Patience
    ) -> None:
        self.place, self._repo = place, repo
        self._xorbs, self._blobs, self._index, self._patience = xorbs, blobs, index, patience
        self._parts = [Part(place.start, bytearray())]
        self._position = place.start
        self._chunks = ChunkReader()
        self._xorb_bytes: int | None = None
        self._right = False
        self._news = asyncio.Event()
        self._error: Exception | None = None
        self._settling: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Fetches and keeps it; what goes wrong is told to the readers."""
        try:
            await self._fetch_all()
            self._parts[-1].stop = self.place.stop
            await self._settle(self._parts[-1])
            await self._settled()
            await asyncio.to_thread(self._chunks.finish, self.place.last_chunk - self.place.first_chunk)
            await self._index.add(self._kept(), self._xorb_bytes)
            self._right = True
        except WrongXorb as error:
            self._error = HubSentWrongBytes(f"xorb {self.place.xorb}: {error}", asked=self.place.xorb)
            log.warning("xorb.refused", xorb=self.place.xorb, reason=str(error), start=self.place.start)
            await self._forget_parts()
        except (UpstreamError, BlobProblem) as error:
            self._error = error
            log.warning("xorb.failed", xorb=self.place.xorb, reason=str(error), kind=type(error).__name__)
        except asyncio.CancelledError:
            self._error = HubBroke("the gateway is stopping")
            raise
        finally:
            if self._settling is not None:
                await asyncio.gather(self._settling, return_exceptions=True)
            self._tell()

    async def read(self, start: int, stop: int) -> AsyncGenerator[FilePiece | bytes]:
        """The bytes [start, stop) as they come. Raises UpstreamError, BlobProblem."""
        position = start
        while position < stop:
            ready = min(self._position if self._right else min(self._position, self.place.stop - 1), stop)
            if position >= ready:
                if self._error is not None:
                    raise self._error
                await self._news.wait()
                continue
            part = next(part for part in reversed(self._parts) if part.start <= position)
            until = min(ready, part.stop or ready)
            if part.content is not None:
                until = min(until, position + _COPY_BYTES)
                yield bytes(memoryview(part.content)[position - part.start : until - part.start])
            else:
                assert part.key is not None
                kept = read_blob(self._blobs, part.key, position - part.start, until - part.start)
                async with aclosing(kept) as pieces:
                    async for piece in pieces:
                        yield piece
            position = until

    async def _fetch_all(self) -> None:
        failures = 0
        while self._position < self.place.stop:
            before = self._position
            try:
                await self._fetch()
            except PlaceExpired:
                raise
            except UpstreamError as error:
                failures = 1 if self._position > before else failures + 1
                if (wait_s := self._patience.wait_s(error, failures)) is None:
                    raise
                log.info("xorb.interrupted", xorb=self.place.xorb, code=error.code, position=self._position)
                await asyncio.sleep(wait_s)

    async def _fetch(self) -> None:
        """Fetches the rest; the address may be good for the whole range alone, so what is there comes again."""
        async with self._xorbs.open(self.place) as body:
            at = self.place.start
            self._xorb_bytes = body.xorb_bytes
            async for chunk in body.chunks:
                at += len(chunk)
                new = chunk[max(0, self._position - (at - len(chunk))) :]
                if at > self.place.stop:
                    raise HubMisspoke("more bytes than the range has", asked=self.place.xorb)
                if new:
                    await self._take(new)
        if self._position < self.place.stop:
            raise HubBroke("the range ended before it was whole", asked=self.place.xorb)

    async def _take(self, content: bytes) -> None:
        part = self._parts[-1]
        assert isinstance(part.content, bytearray)
        part.content += content
        self._position += len(content)
        self._tell()
        if len(part.content) >= PIECE_BYTES:
            part.stop = self._position
            self._parts.append(Part(self._position, bytearray()))
            await self._settle(part)

    async def _settle(self, part: Part) -> None:
        """Hands a part over to be checked and written, once the one before it is."""
        await self._settled()
        self._settling = asyncio.create_task(self._keep(part), name=f"keep xorb {self.place.xorb}")

    async def _settled(self) -> None:
        if self._settling is not None:
            settling, self._settling = self._settling, None
            await settling

    async def _keep(self, part: Part) -> None:
        assert part.content is not None
        content = bytes(part.content)
        if not content:
            return
        key = await asyncio.to_thread(self._check, content)
        await self._blobs.put(key, content)
        part.key, part.content = key, None

    def _check(self, content: bytes) -> BlobKey:
        self._chunks.feed(content)
        return BlobKey.of(content)

    def _kept(self) -> KeptRange:
        place = self.place
        pieces = tuple(Piece(part.start, part.stop, part.key) for part in self._parts if part.key is not None)
        leaves = tuple(self._chunks.leaves)
        return KeptRange(
            place.xorb,
            place.start,
            place.stop,
            self._repo,
            place.first_chunk,
            leaves,
            pieces,
            proven=False,
            kept_at_s=time.time(),
        )

    async def _forget_parts(self) -> None:
        for part in self._parts:
            if part.key is not None:
                try:
                    await self._blobs.delete(part.key)
                except BlobProblem as error:
                    log.warning("store.bypassed", blob=str(part.key), reason=str(error), kind=type(error).__name__)

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


async def read_blob(blobs: BlobStore, key: BlobKey, start: int, stop: int) -> AsyncGenerator[FilePiece | bytes]:
    """The bytes [start, stop) of a blob. Raises BlobGone, BlobProblem."""
    if (blob := await blobs.open(key)) is None:
        raise BlobGone(str(key))
    with closing(blob):
        async with aclosing(
            pieces_of(blob, start, stop, short=BlobGone(f"{key} is shorter than it should be"))
        ) as pieces:
            async for piece in pieces:
                yield piece


class BlobGone(BlobProblem):
    """A piece that was kept is not there any more."""
