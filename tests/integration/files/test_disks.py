"""Whatever the disk does, files are served, right to the byte; a disk that cannot help costs time only."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.file_hub import FileHub
from tests.support.mounts import fill_up, read_only, small_disk
from tests.support.serving import Serving, serving
from tests.support.waiting import eventually

MIB = 1024**2


def some_files(hub: FileHub) -> dict[str, bytes]:
    """Large and small ones, together more than 12 MiB."""
    files = {f"large-{number}.bin": os.urandom(4 * MIB + number) for number in range(3)}
    files |= {f"small-{number}.json": os.urandom(20_000) for number in range(40)}
    for path, content in files.items():
        hub.add(path, content, lfs=path.endswith(".bin"))
    return files


@asynccontextmanager
async def before(hub: FileHub, root: Path) -> AsyncIterator[tuple[Serving, aiohttp.ClientSession]]:
    """A gateway in a process of its own whose folder is `root/kept`."""
    variables = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_gateway", "HFPROXY_STORAGE__FREE_FLOOR": "0"}
    async with serving(root, **variables) as gateway, aiohttp.ClientSession() as http:
        yield gateway, http
        assert "Traceback" not in gateway.printed(), gateway.printed()


async def get(gateway: Serving, http: aiohttp.ClientSession, path: str) -> bytes:
    async with http.get(f"{gateway.url}/acme/demo/resolve/main/{path}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


async def readiness(gateway: Serving, http: aiohttp.ClientSession) -> tuple[int, Any]:
    async with http.get(f"{gateway.url}/-/ready") as answer:
        return answer.status, await answer.json(content_type=None)


async def all_are_right(gateway: Serving, http: aiohttp.ClientSession, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        assert await get(gateway, http, path) == content, path


async def test_a_disk_smaller_than_what_is_asked_for_serves_it_all_the_same(hub: FileHub, tmp_path: Path) -> None:
    files = some_files(hub)
    with small_disk(tmp_path / "kept", 10 * MIB):
        async with before(hub, tmp_path) as (gateway, http):
            for _ in range(2):
                await all_are_right(gateway, http, files)
            assert any(event["event"] == "blob.evicted" for event in gateway.events())


async def test_a_full_disk_serves_all_and_keeps_again_when_there_is_room(hub: FileHub, tmp_path: Path) -> None:
    files = some_files(hub)
    with small_disk(tmp_path / "kept", 24 * MIB):
        async with before(hub, tmp_path) as (gateway, http):
            filler = fill_up(tmp_path / "kept")
            for _ in range(2):
                await all_are_right(gateway, http, files)
            assert hub.sent_bytes >= 2 * 12 * MIB, "nothing large could be kept"
            async with http.post(f"{gateway.url}/api/repos/create", json={"name": "demo"}) as answer:
                # What would change the Hub is kept in the audit trail, or not sent.
                assert (answer.status, (await answer.json())["code"]) == (503, "StorageUnavailable")
            filler.unlink()
            await all_are_right(gateway, http, files)
            before_again = hub.sent_bytes
            await all_are_right(gateway, http, files)
            assert hub.sent_bytes == before_again


async def test_a_disk_that_is_full_in_the_middle_of_a_file_costs_no_byte_of_it(hub: FileHub, tmp_path: Path) -> None:
    content = os.urandom(9 * MIB)
    hub.add("w.bin", content)
    hub.hold_after = 2 * MIB
    hub.gate.clear()
    with small_disk(tmp_path / "kept", 24 * MIB):
        async with before(hub, tmp_path) as (gateway, http):
            async with http.get(f"{gateway.url}/acme/demo/resolve/main/w.bin") as answer:
                begun = await answer.content.readexactly(MIB)
                fill_up(tmp_path / "kept")
                hub.gate.set()
                assert begun + await answer.read() == content
            assert await get(gateway, http, "w.bin") == content


async def test_a_disk_that_became_read_only_serves_what_it_has_and_the_rest_from_the_hub(
    hub: FileHub, tmp_path: Path
) -> None:
    files = some_files(hub)
    async with before(hub, tmp_path) as (gateway, http):
        assert await get(gateway, http, "large-0.bin") == files["large-0.bin"]
        await eventually(lambda: any(event["event"] == "fill.finished" for event in gateway.events()))
    sent_bytes = hub.sent_bytes
    with read_only(tmp_path / "kept" / "blobs"):
        async with before(hub, tmp_path) as (gateway, http):
            assert await get(gateway, http, "large-0.bin") == files["large-0.bin"]
            assert hub.sent_bytes == sent_bytes
            await all_are_right(gateway, http, files)
            status, told = await readiness(gateway, http)
            assert (status, told["status"]) == (200, "degraded")
            assert "is not writable" in told["checks"]["files"]


async def test_a_store_that_is_deleted_under_a_running_gateway_is_used_again(hub: FileHub, tmp_path: Path) -> None:
    files = some_files(hub)
    async with before(hub, tmp_path) as (gateway, http):

        def filled(count: int) -> bool:
            return sum(event["event"] == "fill.finished" for event in gateway.events()) == count

        assert await get(gateway, http, "large-0.bin") == files["large-0.bin"]
        await eventually(lambda: filled(1))
        (tmp_path / "kept" / "blobs").rename(tmp_path / "gone")
        large = ("large-1.bin", "large-2.bin", "large-0.bin")
        for count, path in enumerate(large, start=2):
            assert await get(gateway, http, path) == files[path]
            await eventually(lambda count=count: filled(count))  # type: ignore[misc]
        sent_bytes = hub.sent_bytes
        for path in large:
            assert await get(gateway, http, path) == files[path]
        assert hub.sent_bytes == sent_bytes, "they are kept"
        status, told = await readiness(gateway, http)
        assert (status, told["status"]) == (200, "ready")
        assert any(event["event"] == "store.emptied" for event in gateway.events())
