"""What gateways share is away: reads that can be answered are, the rest says when to try again, nothing is lost."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from hfproxy.storage.blobs import BlobKey
from tests.integration.nodes.conftest import Shared, read
from tests.support.buckets import bucket_variables
from tests.support.cut_line import CutLine, cut_line
from tests.support.databases import new_postgres_database, postgres_programs
from tests.support.file_hub import FileHub
from tests.support.kept import EVERYTHING
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.s3_servers import S3Server, running_rclone
from tests.support.serving import Serving
from tests.support.waiting import eventually

MIB = 1024**2
CONFIG = b'{"version": 1}'
LONG = pytest.mark.skipif(not EVERYTHING, reason="minutes of waiting, with HFPROXY_TESTS_STORES=all")
# What hangs is waited for as long as gateways wait unless they are told otherwise, or shorter, so that the test is.
HOW = ["stopped", "silent", pytest.param("silent as long as by default", marks=LONG)]
COMMIT = "api/models/acme/demo/commit/main"


def waiting(how: str, setting: str) -> dict[str, str]:
    return {f"HFPROXY_STORAGE__{setting}": "2s"} if how == "silent" else {}


@asynccontextmanager
async def two_on_a_database(
    hub: FileHub, folder: Path, more: dict[str, str]
) -> AsyncIterator[tuple[PostgresServer, Serving, Serving]]:
    """Two gateways on a database that is this test's alone."""
    with running_postgres(postgres_programs()) as database, running_rclone() as bucket:
        variables = {"HFPROXY_STORAGE__DATABASE": database.url, **bucket_variables(bucket), **more}
        async with Shared(hub, folder, variables, own_folders=True).two() as (a, b):
            yield database, a, b


@pytest.mark.parametrize("how", HOW)
async def test_without_the_database(hub: FileHub, tmp_path: Path, how: str) -> None:
    files = {name: os.urandom(3 * MIB + 99) for name in ("kept.bin", "begun.bin", "cold.bin", "later.bin")}
    for name, content in files.items():
        hub.add(name, content)
    hub.add("config.json", CONFIG, lfs=False)
    async with two_on_a_database(hub, tmp_path, waiting(how, "DATABASE_TIMEOUT")) as (database, a, b):
        for node in (a, b):
            await same(node, "kept.bin", files["kept.bin"])
            await same(node, "config.json", CONFIG)
        hub.hold_after = 2 * MIB
        hub.gate.clear()
        sent = hub.sent_bytes
        begun = asyncio.create_task(read(a.url, "begun.bin"))
        await eventually(lambda: hub.sent_bytes > sent + MIB)

        (database.stop if how == "stopped" else database.pause)()
        hub.gate.set()
        for node in (a, b):
            await same(node, "config.json", CONFIG)
            await same(node, "kept.bin", files["kept.bin"])
            await same(node, "cold.bin", files["cold.bin"])
            status, headers = await asked(node, "POST", COMMIT)
            assert (status, "Retry-After" in headers) == (503, True)
            assert (await asked(node, "GET", "-/live"))[0] == 200
            assert (await asked(node, "GET", "-/ready"))[0] == 503
        assert BlobKey.of(await begun) == BlobKey.of(files["begun.bin"])
        assert hub.count("POST") == 0, "what could not be recorded was not sent"

        (database.start if how == "stopped" else database.go_on)()
        for node in (a, b):
            await until_it_says(200, node, "GET", "-/ready")
            await until_it_says(200, node, "POST", COMMIT)
        await kept_again(hub, a, b, "later.bin", files["later.bin"])
        assert "Traceback" not in a.printed() + b.printed()


@pytest.mark.parametrize("how", HOW)
async def test_without_the_bucket(
    hub: FileHub, tmp_path: Path, rclone_server: S3Server, postgres_server: str, how: str
) -> None:
    files = {name: os.urandom(3 * MIB + 99) for name in ("kept.bin", "cold.bin", "later.bin")}
    for name, content in files.items():
        hub.add(name, content)
    hub.add("config.json", CONFIG, lfs=False)
    async with (
        new_postgres_database(postgres_server) as url,
        cut_line(urlsplit(rclone_server.url).port or 0) as line,
    ):
        bucket = bucket_variables(rclone_server) | {"HFPROXY_STORAGE__S3_ENDPOINT": f"http://127.0.0.1:{line.port}"}
        variables = {"HFPROXY_STORAGE__DATABASE": url, **bucket, **waiting(how, "S3_TIMEOUT")}
        await without_the_bucket(Shared(hub, tmp_path, variables, own_folders=True), files, line, how)


async def without_the_bucket(shared: Shared, files: dict[str, bytes], line: CutLine, how: str) -> None:
    async with shared.two() as (a, b):
        await same(a, "kept.bin", files["kept.bin"])
        await same(a, "config.json", CONFIG)
        if how == "stopped":
            await line.cut()
        else:
            line.fall_silent()
        for node in (a, b):
            await same(node, "config.json", CONFIG)
            await same(node, "kept.bin", files["kept.bin"])
            await same(node, "cold.bin", files["cold.bin"])
            assert (await asked(node, "POST", COMMIT))[0] == 200, "writes need no bucket"
            await until_it_is_degraded(node, files)
        if how == "stopped":
            await line.mend()
        else:
            line.speak()
        await kept_again(shared.hub, a, b, "later.bin", files["later.bin"])
        assert "Traceback" not in a.printed() + b.printed()


async def until_it_is_degraded(node: Serving, files: dict[str, bytes]) -> None:
    async with asyncio.timeout(120), aiohttp.ClientSession() as http:
        while True:
            await same(node, "kept.bin", files["kept.bin"])
            async with http.get(f"{node.url}/-/ready") as answer:
                told = await answer.json(content_type=None)
                assert answer.status == 200, told
            if told["status"] == "degraded":
                assert "the bucket" in told["checks"]["files"], told
                return


async def same(node: Serving, path: str, content: bytes) -> None:
    assert BlobKey.of(await read(node.url, path)) == BlobKey.of(content)


async def kept_again(hub: FileHub, a: Serving, b: Serving, path: str, content: bytes) -> None:
    """Returns once both give a file that the Hub is not asked for any more."""

    async def is_kept() -> bool:
        await same(a, path, content)
        sent = hub.sent_bytes
        await same(a, path, content)
        await same(b, path, content)
        return hub.sent_bytes == sent

    await eventually(is_kept)


async def asked(node: Serving, method: str, path: str) -> tuple[int, aiohttp.typedefs.LooseHeaders]:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{node.url}/{path}", data=b"{}" if method == "POST" else None) as answer,
    ):
        return answer.status, answer.headers


async def until_it_says(status: int, node: Serving, method: str, path: str) -> None:
    await eventually(lambda: asked(node, method, path), lambda answer: answer[0] == status)
