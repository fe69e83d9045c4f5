"""The store of blobs that the settings name: a folder of this machine, or a bucket."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hfproxy.settings import StorageSettings
from hfproxy.storage.blobs import BlobKey, BlobStore
from hfproxy.storage.database import Database
from hfproxy.storage.disk import disk_blobs
from hfproxy.storage.eviction import nothing_pinned


@asynccontextmanager
async def kept_blobs(
    storage: StorageSettings,
    database: Database,
    *,
    floor_bytes: int = 0,
    limit_bytes: int | None = None,
    pinned: Callable[[BlobKey], bool] = nothing_pinned,
    shared: bool = False,
) -> AsyncIterator[BlobStore]:
    """The store, opened; shared: with other processes of this gateway. Raises BlobStoreBroken, CannotStart."""
    if storage.blobs is None:
        async with disk_blobs(
            storage.root / "blobs", limit_bytes=limit_bytes, floor_bytes=floor_bytes, pinned=pinned, shared=shared
        ) as blobs:
            yield blobs
        return
    # Imported where it is wanted: most gateways keep files on a disk.
    from hfproxy.storage.object_blobs import object_blobs
    from hfproxy.storage.s3 import open_bucket

    async with object_blobs(
        open_bucket(storage),
        database,
        limit_bytes=limit_bytes,
        pinned=pinned,
        block_size_bytes=int(storage.s3_block_size),
        memory_bytes=int(storage.s3_memory),
    ) as store:
        yield store
