"""Objects in a bucket of an S3-compatible server; what its errors mean, and what to do while it is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from hfproxy.storage.blobs import BlobStoreBroken

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")

# A bucket that did not answer is not asked for so long, so that not every caller waits for it.
_AWAY_FOR_S = 3.0
# It is told as in trouble for so long after an answer that was none, unless one came since.
_TOLD_FOR_S = 60.0
_TIMEOUT_S = 10.0
# A block that is put in its place again costs more than one that is fetched again.
_LONGER_TO_WRITE = 3


class ObjectGone(BlobStoreBroken):
    """There is no such object, or not all of it: somebody evicted the blob, or damaged the bucket."""


class Bucket:
    """Puts, gets and deletes. Every call raises BlobStoreBroken where the server does not do it."""

    def __init__(self, store: "ObjectStore", *, timeout_s: float = _TIMEOUT_S) -> None:
        """timeout_s: how long an object that is read may take; one that is written has three times as long."""
        self._store = store
        self._read_timeout_s, self._write_timeout_s = timeout_s, timeout_s * _LONGER_TO_WRITE
        self._away_until = 0.0
        self._why, self._troubled_until = "", 0.0

    async def put(self, name: str, content: bytes | bytearray) -> None:
        """Keeps an object under a name that nobody else uses."""
        import obstore

        await self._told(obstore.put_async(self._store, name, content, use_multipart=False), self._write_timeout_s)

    async def get(self, name: str) -> bytes:
        """An object. Raises ObjectGone."""
        import obstore

        async def read() -> bytes:
            return (await (await obstore.get_async(self._store, name)).bytes_async()).to_bytes()

        return await self._told(read(), self._read_timeout_s)

    async def delete(self, names: Sequence[str]) -> None:
        """Deletes objects; those that are not there do not matter."""
        import obstore

        for name in names:
            # One by one: not every server knows the call for many (Swift wants Content-MD5 with it).
            await self._told(obstore.delete_async(self._store, name), self._write_timeout_s)

    async def list(self) -> AsyncIterator[list[tuple[str, float]]]:
        """Every object and when it was written, page by page."""
        import obstore

        pages = obstore.list(self._store, chunk_size=1000)
        try:
            async for page in pages:
                yield [(each["path"], each["last_modified"].timestamp()) for each in page]
        except (obstore.exceptions.BaseError, OSError) as error:
            raise BlobStoreBroken(_said(error)) from error

    def trouble(self) -> str | None:
        """Why its last answer was none, if that was just now."""
        return self._why if monotonic() < self._troubled_until else None

    async def _told(self, call: Awaitable[T], timeout_s: float) -> T:
        import obstore

        if monotonic() < self._away_until:
            if asyncio.iscoroutine(call):
                call.close()
            raise BlobStoreBroken(self._why)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await call
            self._troubled_until = 0.0
            return answer
        except FileNotFoundError as error:
            raise ObjectGone(_said(error)) from error
        except (obstore.exceptions.BaseError, OSError) as error:
            self._why = _said(error)
            self._away_until = monotonic() + _AWAY_FOR_S
            self._troubled_until = monotonic() + _TOLD_FOR_S
            raise BlobStoreBroken(self._why) from error


def _said(error: Exception) -> str:
    """The first line of what obstore says; the rest is its own structures printed."""
    text = str(error) or type(error).__name__
    return f"the bucket: {text.splitlines()[0][:300]}"
