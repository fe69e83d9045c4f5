"""Pull-through: one download into a blob, followed by any number of readers from the first byte."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

import structlog

from hfproxy.errors import HubSentWrongBytes, UpstreamError
from hfproxy.features.files.connections import Connections
from hfproxy.features.files.lane import Lane
from hfproxy.features.files.pace import Pace
from hfproxy.features.files.patience import Patience
from hfproxy.features.files.plan import split_for, uncovered
from hfproxy.storage.blobs import BlobBusy, BlobKey, BlobProblem, PartialBlob, WrongBytes
from hfproxy.upstream.downloads import HubFiles, Way

log = structlog.get_logger(__name__)

_TICK_S = 0.25
# To wake a reader and send costs the same for a few bytes as for many. A handful of readers hear of each; where there
# are more, the news waits for a block's worth, but not for longer than this.
_HANDFUL = 8
_GATHER_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class FillPolicy:
    """How downloads behave."""

    connections: int = 8
    """Most connections for one file."""
    finish_below_bytes: int = 2 * 1024**3
    """A whole file that nobody waits for any more is finished if it is smaller than this, …"""
    finish_from: float = 0.5
    """… or if this much of it is there."""
    patience: Patience = field(default_factory=Patience)


@dataclass(eq=False, slots=True)
class Reader:
    """Somebody who follows: from where, to where, and whether they would end up with the whole file."""

    position: int
    stop: int
    whole: bool


class Fill:
    """One download into a blob.

    It belongs to `Fills`, not to the request that began it: a client that hangs up ends its own answer, and the bytes
    still arrive for the next. Who reads the whole file gets its last byte only when the digest is right, so nobody
    completes a wrong file. Who reads a range makes it fetch the blocks of that range, and no others.
    """

    def __init__(
        self, blob: PartialBlob, way: Way, etag: str, *, hub: HubFiles, policy: FillPolicy, connections: Connections
    ) -> None:
        self.key: BlobKey = blob.key
        self.blob, self.ways = blob, [way]
        self.readers: set[Reader] = set()
        self.error: Exception | None = None
        self._etag, self._hub, self._policy, self._connections = etag, hub, policy, connections
        self._lanes: dict[asyncio.Task[None], Lane] = {}
        self._pace = Pace(policy.connections, crowded=lambda: not connections.may_grow(), now=monotonic)
        self._whole = self._verified = False
        self._news, self._wants = asyncio.Event(), asyncio.Event()
        self._untold_bytes = 0
        self._gathering: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it still works: bytes are on their way, or being kept."""
        return self._task is not None and not self._task.done()

    @property
    def useless(self) -> bool:
        """Whether its bytes were wrong, or another process took it over: nothing of them is left to follow."""
        return isinstance(self.error, HubSentWrongBytes | BlobBusy)

    @contextmanager
    def following(self, start: int, stop: int, *, whole: bool) -> Iterator[Reader]:
        """A reader of [start, stop); `whole` if they end up with the file, and so must not get a wrong last byte.

        What had failed or was abandoned begins again with what is missing.
        """
        reader = Reader(start, stop, whole)
        self.readers.add(reader)
        self._whole = self._whole or whole
        self._wants.set()
        if not self.running and not self._verified:
            self.error = None
            self._task = asyncio.create_task(self._run(), name=f"fill {self.key}")
        try:
            yield reader
        finally:
            self.readers.discard(reader)
            self._wants.set()

    async def ready_until(self, reader: Reader) -> int:
        """Where the bytes that the reader may have from its position on end; waits for the first of them.

        Raises what ended the download early.
        """
        while True:
            ready = min(self.blob.ready_until(reader.position), reader.stop)
            if reader.whole and not self._verified:
                ready = min(ready, self.blob.size_bytes - 1)
            if ready > reader.position:
                return ready
            if self.error is not None:
                raise self.error
            if self._task is not None and self._task.done():
                self._task.result()
                raise asyncio.CancelledError  # the gateway is stopping
            await self._news.wait()

    async def finished(self) -> None:
        """Returns when nothing is on its way any more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Ends it at once; what is there stays for the next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while not self._complete:
                self._wants.clear()
                self._end_what_nobody_wants()
                await self._begin_lanes()
                if not self._lanes:
                    return
                await self._something()
            await self._finish()
        except (UpstreamError, BlobProblem) as error:
            self.error = error
            log.warning("fill.failed", blob=str(self.key), reason=str(error), kind=type(error).__name__)
        finally:
            await self._end_lanes()
            self._tell()

    @property
    def _complete(self) -> bool:
        return self.blob.ready_until(0) == self.blob.size_bytes

    async def _finish(self) -> None:
        try:
            await self.blob.verify()
        except WrongBytes:
            raise HubSentWrongBytes(
                f"{self.ways[0].ref.path}: the bytes do not have the hash {self._etag}", etag=self._etag
            ) from None
        self._verified = True
        self._tell()
        await self.blob.keep()
        log.info("fill.finished", blob=str(self.key), size_bytes=self.blob.size_bytes)

    def _worth_finishing(self) -> bool:
        """Whether a whole file is fetched to its end though nobody waits for it."""
        size_bytes = self.blob.size_bytes
        missing = sum(stop - start for start, stop in self.blob.missing(0, size_bytes))
        return (
            size_bytes < self._policy.finish_below_bytes
            or size_bytes - missing >= self._policy.finish_from * size_bytes
        )

    def _end_what_nobody_wants(self) -> None:
        """Lets lanes that no reader waits for end with the block they are at."""
        if not self.readers and self._whole:
            self._whole = self._worth_finishing()
        if self._whole:
            return
        grain = self.blob.block_size_bytes
        for lane in self._lanes.values():
            if not any(reader.position < lane.stop and lane.position < reader.stop for reader in self.readers):
                lane.stop = min(lane.stop, -(-max(lane.received, lane.start + 1) // grain) * grain)

    async def _begin_lanes(self) -> None:
        if self._whole:
            await self.blob.reserve(0, self.blob.size_bytes)
        grain = self.blob.block_size_bytes
        for reader in self.readers:
            if self.blob.ready_until(reader.position) == reader.position:
                for lane in self._lanes.values():
                    if (boundary := split_for(reader.position, lane, grain)) is not None:
                        lane.stop = boundary
                gap = next(uncovered(self._gaps_of(reader), self._lanes.values()), None)
                if gap and gap[0] <= reader.position and len(self._lanes) < self._policy.connections:
                    self._begin_lane(gap[0], min(gap[1], gap[0] + self._run_bytes()))
        while len(self._lanes) < self._pace.allowed and (not self._lanes or self._connections.may_grow()):
            if (run := next(uncovered(self._gaps(), self._lanes.values()), None)) is None:
                break
            self._begin_lane(run[0], min(run[1], run[0] + self._run_bytes()))

    def _gaps_of(self, reader: Reader) -> Iterator[tuple[int, int]]:
        return self.blob.missing(reader.position, self.blob.size_bytes if self._whole else reader.stop)

    def _gaps(self) -> Iterator[tuple[int, int]]:
        if self._whole:
            yield from self.blob.missing(0, self.blob.size_bytes)
        else:
            for reader in self.readers:
                yield from self._gaps_of(reader)

    def _run_bytes(self) -> int:
        """A whole number of blocks."""
        grain = self.blob.block_size_bytes
        remaining = sum(stop - start for start, stop in self.blob.missing(0, self.blob.size_bytes))
        return -(-self._pace.run_bytes(remaining) // grain) * grain

    def _begin_lane(self, start: int, stop: int) -> None:
        grain = self.blob.block_size_bytes
        lane = Lane(
            start,
            min(-(-stop // grain) * grain, self.blob.size_bytes),
            ways=self.ways,
            etag=self._etag,
            hub=self._hub,
            blob=self.blob,
            patience=self._policy.patience,
            share=self._connections.share(),
            progressed=self._progressed,
        )
        task = asyncio.create_task(lane.run(), name=f"lane {self.key} {start}")
        self._connections.opened()
        task.add_done_callback(lambda _: self._connections.closed())
        self._lanes[task] = lane
        self._pace.run_began()

    def _progressed(self, size_bytes: int) -> None:
        self._pace.arrived(size_bytes)
        self._untold_bytes += size_bytes
        if len(self.readers) <= _HANDFUL or self._untold_bytes >= self.blob.block_size_bytes:
            self._tell()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(_GATHER_S, self._tell)

    def _tell(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._untold_bytes = 0
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _something(self) -> None:
        """Waits for a lane's end, a change of readers or the next look at the pace. Raises what a lane raises."""
        wants = asyncio.create_task(self._wants.wait())
        try:
            await asyncio.wait([wants, *self._lanes], timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wants.cancel()
        for task in [task for task in self._lanes if task.done()]:
            lane = self._lanes.pop(task)
            task.result()
            self._pace.run_ended(lane.position - lane.start)
        self._pace.look()

    async def _end_lanes(self) -> None:
        for task in self._lanes:
            task.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        self._lanes.clear()
