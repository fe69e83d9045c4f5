"""Downloads that another process makes, here or on another machine: read as they grow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic

import structlog

from hfproxy.storage.blobs import BlobKey, BlobProblem, BlobStore, FollowedBlob

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.1
# Longer than a dead writer's lease lasts, so that who waits takes over rather than asks the Hub for the same bytes.
_PATIENCE_S = 15.0


class NotComing(BlobProblem):
    """Who writes it does so at another place, and will not come to this one soon."""


@dataclass(eq=False, slots=True)
class Place:
    """Where a reader waits."""

    position: int


class Following:
    """One blob that another process writes, and all of this process that read it; one task looks for them all."""

    def __init__(self, blob: FollowedBlob) -> None:
        self.blob = blob
        self.places: set[Place] = set()
        self._news = asyncio.Event()
        self._problem: BlobProblem | None = None
        self._over = False
        self._task = asyncio.create_task(self._look(), name=f"follow {blob.key}")

    async def ready_until(self, place: Place, stop: int, *, whole: bool) -> int:
        """Where the bytes that a reader may have end; the place itself once nobody writes the blob any more.

        Raises NotComing, BlobStoreBroken.
        """
        until = monotonic() + _PATIENCE_S
        while True:
            # The last byte of a whole file is for who reads it when it is complete, and its digest right.
            ready = min(self.blob.ready_until(place.position), stop, self.blob.size_bytes - whole)
            if ready > place.position:
                return ready
            if self._problem is not None:
                raise self._problem
            if self._over:
                return place.position
            if monotonic() > until:
                raise NotComing(f"nothing came at byte {place.position} of {self.blob.key}")
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await self._news.wait()

    async def close(self) -> None:
        self._task.cancel()
        self._task.add_done_callback(lambda _: self.blob.close())  # whoever waits for it may be cancelled
        await asyncio.wait([self._task])

    async def _look(self) -> None:
        try:
            while await self.blob.look(min((place.position for place in self.places), default=0)):
                self._tell()
                await asyncio.sleep(_LOOK_EVERY_S)
        except BlobProblem as problem:
            self._problem = problem
        finally:
            self._over = True
            self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Elsewhere:
    """What other processes download."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._following: dict[BlobKey, Following] = {}

    @asynccontextmanager
    async def following(self, key: BlobKey, size_bytes: int, start: int) -> AsyncIterator[tuple[Following, Place]]:
        """The blob as it grows, with a place for a reader who begins at `start`. Raises BlobStoreBroken."""
        following = self._following.get(key)
        if following is None:
            following = self._following[key] = Following(self._blobs.follow(key, size_bytes))
            log.info("fill.followed", blob=str(key))
        place = Place(start)
        following.places.add(place)
        try:
            yield following, place
        finally:
            following.places.discard(place)
            if not following.places:
                if self._following.get(key) is following:
                    del self._following[key]
                await following.close()
