"""A Hub of files, a store on disk, and downloads between the two."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hfproxy.features.files.fill import FillPolicy
from hfproxy.features.files.fills import Fills
from hfproxy.features.files.patience import Patience
from hfproxy.storage.blobs import BlobKey
from hfproxy.storage.disk import DiskBlobs, disk_blobs
from hfproxy.upstream.client import hub_session
from hfproxy.upstream.credentials import NOBODY
from hfproxy.upstream.downloads import HubFiles, Way
from hfproxy.upstream.refs import FileRef
from tests.support.file_hub import COMMIT, FileHub, file_hub

Read = Callable[..., Awaitable[bytes]]
QUICK = Patience(first_wait_s=0.01)


@pytest.fixture
async def hub() -> AsyncIterator[FileHub]:
    async with file_hub() as hub:
        yield hub


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[DiskBlobs]:
    async with disk_blobs(tmp_path / "blobs") as store:
        yield store


@asynccontextmanager
async def fills_between(
    hub: FileHub, blobs: DiskBlobs, policy: FillPolicy | None = None, *, stall_timeout_s: float = 2
) -> AsyncIterator[Fills]:
    """Downloads from this Hub into this store."""
    async with hub_session(connect_timeout=timedelta(seconds=5)) as session:
        files = HubFiles(hub.url, session, answer_timeout_s=5, stall_timeout_s=stall_timeout_s)
        fills = Fills(hub=files, blobs=blobs, policy=policy or FillPolicy(patience=QUICK))
        try:
            yield fills
        finally:
            await fills.close()


@pytest.fixture
async def fills(hub: FileHub, blobs: DiskBlobs) -> AsyncIterator[Fills]:
    async with fills_between(hub, blobs) as fills:
        yield fills


def way_to(path: str, repo: str = "acme/demo") -> Way:
    return Way(FileRef.parse(f"/{repo}/resolve/{COMMIT}/{path}"), NOBODY)


async def read(
    fills: Fills, key: BlobKey, size_bytes: int, path: str = "w.bin", *, start: int = 0, stop: int | None = None
) -> bytes:
    """What one reader gets, whole if no range is given."""
    end = size_bytes if stop is None else stop
    got = bytearray()
    async with fills.following(
        key, size_bytes, way_to(path), key.digest, start=start, stop=end, whole=(start, end) == (0, size_bytes)
    ) as (fill, reader):
        while reader.position < end:
            ready = await fill.ready_until(reader)
            got += await fill.blob.read(reader.position, ready)
            reader.position = ready
    return bytes(got)


async def until(condition: Callable[[], bool]) -> None:
    """Returns when it is so; the test's own timeout ends a wait in vain."""
    while not condition():  # noqa: ASYNC110 - what is awaited has no event of its own
        await asyncio.sleep(0.01)
