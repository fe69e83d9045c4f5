"""Gateways as processes that share what they keep: a folder, or a bucket and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.support.buckets import bucket_variables
from tests.support.databases import new_postgres_database
from tests.support.file_hub import FileHub, file_hub
from tests.support.serving import Serving, serving


@dataclass
class Shared:
    """Starts gateways before one Hub, all on the same store and database."""

    hub: FileHub
    folder: Path
    variables: dict[str, str]
    own_folders: bool
    """Whether each has a folder to itself, as on machines of their own."""

    def node(self, name: str, **variables: str) -> AbstractAsyncContextManager[Serving]:
        """One gateway."""
        root = f"{name}/kept" if self.own_folders else "kept"
        return serving(
            self.folder / name,
            HF_ENDPOINT=self.hub.url,
            HF_TOKEN="hf_gateway_token_of_the_tests",
            HFPROXY_STORAGE__ROOT=str(self.folder / root),
            **self.variables,
            **variables,
        )

    @asynccontextmanager
    async def two(self, **variables: str) -> AsyncIterator[tuple[Serving, Serving]]:
        """Two gateways."""
        async with AsyncExitStack() as stack:
            nodes = (self.node(name, **variables) for name in ("a", "b"))
            a, b = await asyncio.gather(*map(stack.enter_async_context, nodes))
            yield a, b


@pytest.fixture
async def hub() -> AsyncIterator[FileHub]:
    async with file_hub() as hub:
        yield hub


@pytest.fixture(params=["folder", "bucket"])
async def shared(request: pytest.FixtureRequest, hub: FileHub, tmp_path: Path) -> AsyncIterator[Shared]:
    """A folder with SQLite, as workers have it; a bucket with PostgreSQL, as machines have it."""
    if request.param == "folder":
        yield Shared(hub, tmp_path, {}, own_folders=False)
        return
    server = request.getfixturevalue("s3_server")
    async with new_postgres_database(request.getfixturevalue("postgres_server")) as url:
        variables = {"HFPROXY_STORAGE__DATABASE": url, **bucket_variables(server)}
        yield Shared(hub, tmp_path, variables, own_folders=True)


async def read(url: str, path: str = "w.bin", **headers: str) -> bytes:
    """A whole file."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{url}/acme/demo/resolve/main/{path}", headers=headers) as got,
    ):
        assert got.status in {200, 206}, (got.status, await got.text())
        return await got.read()
