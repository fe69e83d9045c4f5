"""The bytes of files: from memory, from the store, from a download that others may follow too, or straight through."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing

import structlog

from hfproxy.downstream.sending import FilePiece, pieces_of
from hfproxy.errors import HubBroke, HubMisspoke, HubSentWrongBytes, NotKept, UpstreamError
from hfproxy.features.files.coming_along import ComingAlong
from hfproxy.features.files.elsewhere import Elsewhere
from hfproxy.features.files.fills import Fills, OtherSize
from hfproxy.features.files.keeping import Keeping
from hfproxy.features.files.lookup import Found, Lookup
from hfproxy.features.files.memory import BodyMemory
from hfproxy.features.files.patience import Patience
from hfproxy.storage.blobs import (
    BlobBusy,
    BlobKey,
    BlobProblem,
    BlobStore,
    FollowedBlob,
    PartialBlob,
    StoredBlob,
    begin_digest,
)
from hfproxy.upstream.downloads import HubFiles

log = structlog.get_logger(__name__)

_HASHED_BYTES = 1024**2
# How often a download that another process has is asked for again, and again without a byte in between.
_ASK_AGAIN_S = 0.05
_MOST_IN_VAIN = 100


class FileService:
    """Serves files. A store that is full, broken or busy costs speed, never an answer."""

    def __init__(
        self,
        *,
        lookup: Lookup,
        hub: HubFiles,
        blobs: BlobStore,
        fills: Fills,
        memory: BodyMemory,
        keeping: Keeping,
        along: ComingAlong,
        small_bytes: int,
        patience: Patience,
        offline: bool = False,
    ) -> None:
        self.lookup = lookup
        self._hub, self._blobs, self._fills, self._memory = hub, blobs, fills, memory
        self._keeping, self._along = keeping, along
        self._small_bytes, self._patience, self._offline = small_bytes, patience, offline
        self._elsewhere = Elsewhere(blobs)
        self._fetching: dict[BlobKey, asyncio.Task[bytes]] = {}

    def is_small(self, found: Found) -> bool:
        """Whether the file is answered whole from memory: `content` instead of `pieces`."""
        return found.entry.size_bytes <= self._small_bytes and _key(found) is not None

    def remembered(self, found: Found) -> bytes | None:
        """A small file's bytes, if they are in memory."""
        key = _key(found)
        return self._memory.get(key) if key is not None else None

    def in_memory(self, key: BlobKey) -> bytes | None:
        """A small file's bytes by their hash, if they are in memory."""
        return self._memory.get(key)

    async def content(self, found: Found) -> tuple[bytes, str]:
        """A small file's bytes, right to the hash, and what `Cache-Status` says of them. Raises UpstreamError."""
        key = _key(found)
        assert key is not None
        if (body := self._memory.get(key)) is not None:
            return body, "hit"
        if (body := await self._stored(key)) is not None:
            self._memory.put(key, body)
            return body, "hit"
        self._refuse_offline(found)
        task, status = self._fetching.get(key), "fwd=uri-miss; collapsed"
        if task is None:
            task, status = asyncio.create_task(self._fetch(key, found), name=f"fetch {key}"), "fwd=uri-miss; stored"
            self._fetching[key] = task
            task.add_done_callback(lambda ended: self._fetched(key, ended))
        return await asyncio.shield(task), status

    async def pieces(
        self, found: Found, start: int, stop: int, *, whole: bool
    ) -> AsyncGenerator[FilePiece | bytes | memoryview]:
        """The bytes [start, stop) as they become available, in order; the first may take as long as the Hub does.

        whole: the caller ends up with the file, and so must not get its last byte before the digest is right. Raises
        UpstreamError, also in between.
        """
        key, position = _key(found), start
        if key is not None:
            try:
                async with aclosing(self._kept_pieces(key, found, start, stop, whole=whole)) as pieces:
                    async for piece in pieces:
                        yield piece
                        position += len(piece)
                return
            except BlobProblem as problem:
                log.warning("store.bypassed", blob=str(key), reason=str(problem), kind=type(problem).__name__)
        self._refuse_offline(found)
        async with aclosing(self._relay(found, position, stop)) as relay:
            async for chunk in relay:
                yield chunk

    async def _kept_pieces(
        self, key: BlobKey, found: Found, start: int, stop: int, *, whole: bool
    ) -> AsyncGenerator[FilePiece | bytes]:
        """By way of the store: what is complete, else our own download, else the one that another process makes.

        A download changes hands when its process dies, so this goes round until all bytes were had. Raises BlobProblem.
        """
        position, in_vain = start, 0
        while position < stop:
            before = position
            try:
                async with aclosing(self._pieces_of_ours(key, found, position, stop, whole=whole)) as pieces:
                    async for piece in pieces:
                        yield piece
                        position += len(piece)
            except BlobBusy:
                async with aclosing(self._pieces_of_theirs(key, found, position, stop, whole=whole)) as pieces:
                    async for piece in pieces:
                        yield piece
                        position += len(piece)
                in_vain = in_vain + 1 if position == before else 0
                if in_vain > _MOST_IN_VAIN:
                    raise
                if in_vain > 1:
                    await asyncio.sleep(_ASK_AGAIN_S)  # it is being let go of, or kept

    async def _pieces_of_ours(
        self, key: BlobKey, found: Found, start: int, stop: int, *, whole: bool
    ) -> AsyncGenerator[FilePiece | bytes]:
        size, position = found.entry.size_bytes, start
        if (blob := await self._blobs.open(key)) is not None:
            with closing(blob):
                if blob.size_bytes == size:
                    async with aclosing(_read(blob, start, stop)) as read:
                        async for piece in read:
                            yield piece
                    return
                if await _is_right(blob):
                    # Whoever could delete it by a wrong size would make everybody fetch it again.
                    raise OtherSize(f"{blob.size_bytes} bytes are kept, and {size} are wanted")
            # Somebody cut it short, or wrote to it: that is no other file, that is none.
            log.warning("blob.corrupt", blob=str(key))
            await self._blobs.delete(key)
        self._refuse_offline(found)
        async with self._fills.following(
            key, size, found.way, found.entry.etag, start=start, stop=stop, whole=whole
        ) as (fill, reader):
            while position < stop:
                ready = await fill.ready_until(reader)
                async with aclosing(_read(fill.blob, position, ready)) as read:
                    async for piece in read:
                        yield piece
                        position = reader.position = position + len(piece)

    async def _pieces_of_theirs(
        self, key: BlobKey, found: Found, start: int, stop: int, *, whole: bool
    ) -> AsyncGenerator[FilePiece | bytes]:
        """What another process writes, until it ends; then the rest is to be had another way."""
        async with self._elsewhere.following(key, found.entry.size_bytes, start) as (following, place):
            while place.position < stop:
                ready = await following.ready_until(place, stop, whole=whole)
                if ready == place.position:
                    return
                async with aclosing(_read(following.blob, place.position, ready)) as read:
                    async for piece in read:
                        yield piece
                        place.position += len(piece)

    async def keeps(self, found: Found) -> bool:
        """Whether all of it is in the store, once what is on its way there has arrived. Raises BlobProblem."""
        await self._keeping.settled()
        key = _key(found)
        return key is not None and await self._blobs.size(key) is not None

    async def stored_at(self, found: Found) -> str | None:
        """Where a complete file lies below the store's root, for a front server that can read it."""
        key = _key(found)
        if key is None or await self._blobs.size(key) is None:
            return None
        return self._blobs.public_path(key)

    async def close(self) -> None:
        """Ends downloads of small files and lets what arrived be kept."""
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), self._along.close(), return_exceptions=True)
        await self._keeping.settled()

    def _refuse_offline(self, found: Found) -> None:
        if self._offline:
            raise NotKept(f"the bytes of {found.way.ref.path} are not kept, and this gateway is offline")

    async def _stored(self, key: BlobKey) -> bytes | None:
        try:
            blob = await self._blobs.open(key)
            if blob is None:
                return None
            try:
                if blob.size_bytes > self._small_bytes:
                    raise OtherSize(f"{blob.size_bytes} bytes are kept, and a small file is wanted")
                body = await blob.read(0, blob.size_bytes)
            finally:
                blob.close()
            if key.names(body):
                return body
            log.warning("blob.corrupt", blob=str(key))
            await self._blobs.delete(key)
        except BlobProblem as problem:
            log.warning("store.bypassed", blob=str(key), reason=str(problem), kind=type(problem).__name__)
        return None

    async def _fetch(self, key: BlobKey, found: Found) -> bytes:
        # It may have come while the store was asked.
        if (came := await self._along.body(key) or self._memory.get(key)) is not None:
            return came
        body = b"".join([chunk async for chunk in self._relay(found, 0, found.entry.size_bytes)])
        if not key.names(body):
            raise HubSentWrongBytes(
                f"{found.way.ref.path}: the bytes do not have the hash {found.entry.etag}", etag=found.entry.etag
            )
        self._memory.put(key, body)
        self._keeping.add(key, body)
        return body

    def _fetched(self, key: BlobKey, task: asyncio.Task[bytes]) -> None:
        self._fetching.pop(key, None)
        if not task.cancelled():
            task.exception()

    async def _relay(self, found: Found, start: int, stop: int) -> AsyncGenerator[bytes | memoryview]:
        """The bytes straight from the Hub, going on where a connection breaks; nothing is kept."""
        entry, failures, position = found.entry, 0, start
        while position < stop:
            before = position
            try:
                async with self._hub.open(
                    found.way, position, stop, size_bytes=entry.size_bytes, etag=entry.etag
                ) as body:
                    at = body.start
                    async with aclosing(body.chunks()) as chunks:
                        async for chunk in chunks:
                            at += len(chunk)
                            skipped = max(0, position - (at - len(chunk)))
                            wanted = chunk[skipped : max(0, stop - (at - len(chunk)))]
                            if wanted:
                                position += len(wanted)
                                yield wanted
                if position < stop:
                    raise HubBroke("the file ended before it was whole", position=position)
            except UpstreamError as error:
                failures = 1 if position > before else failures + 1
                if (wait_s := self._patience.wait_s(error, failures)) is None:
                    raise
                await asyncio.sleep(wait_s)


def _key(found: Found) -> BlobKey | None:
    return BlobKey.from_etag(found.entry.etag)


def _read(blob: StoredBlob | PartialBlob | FollowedBlob, start: int, stop: int) -> AsyncGenerator[FilePiece | bytes]:
    return pieces_of(blob, start, stop, short=HubMisspoke("a kept file is shorter than it should be"))


async def _is_right(blob: StoredBlob) -> bool:
    """Whether these are the bytes that the blob's name says."""
    digest, position = begin_digest(blob.key.algorithm, blob.size_bytes), 0
    while content := await blob.read(position, min(position + _HASHED_BYTES, blob.size_bytes)):
        await asyncio.to_thread(digest.update, content)
        position += len(content)
    return digest.hexdigest() == blob.key.digest
