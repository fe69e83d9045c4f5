"""A Hub of files, a store on disk, and downloads between the two."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hfproxy.features.files.fill import FillPolicy
from hfproxy.features.files.fills import Fills
from hfproxy.features.files.patience import Patience
from hfproxy.settings_loading import load_settings
from hfproxy.storage.blobs import BlobKey, BlobStore
from hfproxy.storage.opening import open_database
from hfproxy.storage.stores import kept_blobs
from hfproxy.upstream.connecting import hub_session
from hfproxy.upstream.credentials import NOBODY
from hfproxy.upstream.downloads import HubFiles, Way
from hfproxy.upstream.refs import FileRef
from tests.support.file_hub import COMMIT, FileHub, file_hub
from tests.support.gateway import Gateway, gateway_for

Start = Callable[..., AbstractAsyncContextManager[Gateway]]
OpenBlobs = Callable[[], AbstractAsyncContextManager[BlobStore]]
Read = Callable[..., Awaitable[bytes]]
QUICK = Patience(first_wait_s=0.01)


@pytest.fixture
async def hub() -> AsyncIterator[FileHub]:
    async with file_hub() as hub:
        yield hub


@pytest.fixture
def start(hub: FileHub, tmp_path: Path, kept_in: dict[str, str]) -> Start:
    """Starts a gateway before the Hub, on the same folder or bucket each time."""

    def started(**variables: str) -> AbstractAsyncContextManager[Gateway]:
        return gateway_for(hub.url, tmp_path / "data", **kept_in, **variables)

    return started


@pytest.fixture
def open_blobs(kept_in: dict[str, str], tmp_path: Path) -> OpenBlobs:
    """Opens the store again and again."""
    variables = {"STORAGE__ROOT": str(tmp_path / "kept"), **kept_in}
    environ = {f"HFPROXY_{name}": value for name, value in variables.items()}
    storage = load_settings(environ=environ, dotenv=None).settings.storage
    url = storage.database.get_secret_value() if storage.database is not None else None

    @asynccontextmanager
    async def opened() -> AsyncIterator[BlobStore]:
        async with open_database(storage.root, url) as database, kept_blobs(storage, database) as store:
            yield store

    return opened


@pytest.fixture
async def blobs(open_blobs: OpenBlobs) -> AsyncIterator[BlobStore]:
    async with open_blobs() as store:
        yield store


@asynccontextmanager
async def fills_between(
    hub: FileHub, blobs: BlobStore, policy: FillPolicy | None = None, *, stall_timeout_s: float = 60
) -> AsyncIterator[Fills]:
    """Downloads from this Hub into this store."""
    async with hub_session(connect_timeout=timedelta(seconds=60)) as session:
        files = HubFiles(hub.url, session, answer_timeout_s=60, stall_timeout_s=stall_timeout_s)
        fills = Fills(hub=files, blobs=blobs, policy=policy or FillPolicy(patience=QUICK))
        try:
            yield fills
        finally:
            await fills.close()


@pytest.fixture
async def fills(hub: FileHub, blobs: BlobStore) -> AsyncIterator[Fills]:
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
