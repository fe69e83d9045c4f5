"""Small files of a commit that was listed come along with the answer to what they are, and nothing else changes."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from hfproxy.storage.blobs import Algorithm, BlobKey
from tests.integration.files.conftest import Start
from tests.support.file_hub import COMMIT, NEXT_COMMIT, FileHub, Trouble
from tests.support.gateway import Gateway, gateway_for

CONFIG = b'{"model_type": "demo"}'
OWNER, STRANGER = "hf_owner_of_the_tests", "hf_mallory_of_the_tests"
ODD = ["a b/ü %41.txt", "resolve/main/x", "q?uestion#.json", ".gitattributes"]


@pytest.fixture
async def gateway(hub: FileHub, start: Start) -> AsyncIterator[Gateway]:
    hub.add("config.json", CONFIG, lfs=False)
    async with start() as gateway:
        yield gateway


async def ask(
    gateway: Gateway, path: str, method: str = "GET", *, token: str | None = None, revision: str = COMMIT
) -> tuple[aiohttp.ClientResponse, bytes]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{gateway.url}/acme/demo/resolve/{revision}/{quote(path)}"
    async with gateway.http.request(method, url, headers=headers) as answer:
        return answer, await answer.read()


async def list_tree(gateway: Gateway, *, token: str | None = None, revision: str = COMMIT) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{gateway.url}/api/models/acme/demo/tree/{revision}?recursive=true&expand=false"
    async with gateway.http.get(url, headers=headers) as answer:
        assert answer.status == 200


def told(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers but for those of this one answer."""
    return {
        name: value
        for name, value in answer.headers.items()
        if name not in {"Date", "X-Request-ID", "X-HFProxy-Request-Id"}
    }


@pytest.mark.also_in_a_bucket
async def test_a_listed_small_file_is_asked_for_once(hub: FileHub, gateway: Gateway) -> None:
    await list_tree(gateway)
    assert (await ask(gateway, "config.json", "HEAD"))[0].status == 200
    assert (await ask(gateway, "config.json"))[1] == CONFIG
    assert hub.count("HEAD") == 0
    assert hub.sent_bytes == len(CONFIG)


async def test_a_head_tells_the_same_as_without_a_listing(hub: FileHub, start: Start, tmp_path: Path) -> None:
    for path in ODD:
        hub.add(path, path.encode() * 3, lfs=False)
    async with start() as with_listing, gateway_for(hub.url, tmp_path / "other") as without:
        await list_tree(with_listing)
        for path in ODD:
            answer, _ = await ask(with_listing, path, "HEAD")
            assert told(answer) == told((await ask(without, path, "HEAD"))[0])
            assert (await ask(with_listing, path))[1] == path.encode() * 3
        assert hub.sent_bytes == sum(len(path.encode() * 3) for path in ODD)


async def test_what_a_listing_showed_opens_no_file(hub: FileHub, start: Start) -> None:
    hub.add("config.json", CONFIG, lfs=False)
    hub.repos["acme/demo"].tokens = {OWNER}
    async with start() as gateway:
        for token in (OWNER, STRANGER, None):
            await list_tree(gateway, token=token)
        await _is_refused(gateway)
        assert hub.sent_bytes == 0
        assert (await ask(gateway, "config.json", "HEAD", token=OWNER))[0].status == 200
        await _is_refused(gateway)
        assert (await ask(gateway, "config.json", token=OWNER))[1] == CONFIG


async def _is_refused(gateway: Gateway) -> None:
    for token in (STRANGER, None):
        for method in ("HEAD", "GET"):
            answer, body = await ask(gateway, "config.json", method, token=token)
            assert answer.status == 404
            assert CONFIG not in body


@pytest.mark.parametrize(
    "lie",
    [{"size": 1}, {"oid": "0" * 40}, {"oid": "no hash"}, {"size": "9"}, {"size": -1}, {"path": "other.json"}],
    ids=str,
)
@pytest.mark.parametrize("size_bytes", [len(CONFIG), 700_000])
async def test_a_listing_that_lies_changes_nothing(
    hub: FileHub, start: Start, lie: dict[str, object], size_bytes: int
) -> None:
    content = os.urandom(size_bytes)
    hub.add("config.json", content, lfs=False)
    hub.listed["config.json"] = {"size": 10} | lie
    async with start() as gateway:
        await list_tree(gateway)
        answer, _ = await ask(gateway, "config.json", "HEAD")
        assert answer.headers["ETag"] == f'"{BlobKey.of(content, Algorithm.GIT).digest}"'
        assert answer.headers["Content-Length"] == str(size_bytes)
        assert (await ask(gateway, "config.json"))[1] == content


async def test_a_large_file_that_is_listed_as_small_is_only_described(hub: FileHub, start: Start) -> None:
    content = os.urandom(3_000_000)
    hub.add("w.bin", content)
    hub.listed["w.bin"] = {"size": 100, "lfs": None}
    async with start() as gateway:
        await list_tree(gateway)
        answer, _ = await ask(gateway, "w.bin", "HEAD")
        assert answer.headers["X-Linked-Size"] == str(len(content))
        assert hub.sent_bytes == 0
        assert (await ask(gateway, "w.bin"))[1] == content


@pytest.mark.parametrize(
    "trouble", [Trouble(cut_after=5), Trouble(reset_after=5), Trouble(corrupt_at=3)], ids=["cut", "reset", "corrupt"]
)
async def test_bytes_that_do_not_come_along_whole_are_fetched_again(
    hub: FileHub, gateway: Gateway, trouble: Trouble
) -> None:
    await list_tree(gateway)
    hub.trouble = [trouble]
    answer, _ = await ask(gateway, "config.json", "HEAD")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(CONFIG)))
    assert (await ask(gateway, "config.json"))[1] == CONFIG


async def test_what_is_kept_does_not_come_again(hub: FileHub, gateway: Gateway) -> None:
    await ask(gateway, "config.json")
    hub.add("copy.json", CONFIG, lfs=False)
    await list_tree(gateway)
    assert (await ask(gateway, "copy.json", "HEAD"))[0].status == 200
    assert (await ask(gateway, "copy.json"))[1] == CONFIG
    assert hub.sent_bytes == len(CONFIG)


async def test_a_branch_that_moved_tells_of_the_new_file(hub: FileHub, start: Start) -> None:
    hub.add("config.json", CONFIG, lfs=False)
    async with start(FILES__FRESH_FOR="0s", FILES__RIGHTS_FOR="0s") as gateway:
        await list_tree(gateway)
        await list_tree(gateway, revision="main")
        await ask(gateway, "config.json", revision="main")
        hub.add("config.json", CONFIG + b" ", lfs=False)
        hub.repos["acme/demo"].commit = NEXT_COMMIT
        answer, body = await ask(gateway, "config.json", revision="main")
        assert (answer.headers["X-Repo-Commit"], body) == (NEXT_COMMIT, CONFIG + b" ")


@pytest.mark.also_in_a_bucket
async def test_what_came_along_is_kept(hub: FileHub, start: Start) -> None:
    hub.add("config.json", CONFIG, lfs=False)
    async with start() as gateway:
        await list_tree(gateway)
        await ask(gateway, "config.json", "HEAD")
    hub.down = True
    async with start(FILES__OFFLINE="true") as gateway:
        assert (await ask(gateway, "config.json"))[1] == CONFIG
