"""Files through the gateway: what clients are told, from the Hub and from what is kept, and to whom."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from hfproxy.storage import pointers
from hfproxy.storage.blobs import Algorithm, BlobKey
from tests.integration.files.conftest import Start
from tests.support.file_hub import COMMIT, NEXT_COMMIT, FileHub, Trouble
from tests.support.gateway import Gateway
from tests.support.waiting import eventually

MIB = 1024**2
CONFIG = b'{"model_type": "demo"}'
WEIGHTS = os.urandom(3 * MIB + 321)


@pytest.fixture
async def gateway(hub: FileHub, start: Start) -> AsyncIterator[Gateway]:
    hub.add("config.json", CONFIG, lfs=False)
    hub.add("w.bin", WEIGHTS)
    async with start() as gateway:
        yield gateway


async def ask(
    gateway: Gateway, path: str, method: str = "GET", *, repo: str = "acme/demo", revision: str = "main", **headers: str
) -> tuple[aiohttp.ClientResponse, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{gateway.url}/{repo}/resolve/{revision}/{path}"
    async with gateway.http.request(method, url, headers=named, allow_redirects=False) as answer:
        return answer, await answer.read()


async def test_a_head_tells_all_and_in_mode_http_offers_no_xet(hub: FileHub, start: Start) -> None:
    hub.add("config.json", CONFIG, lfs=False)
    hub.add("w.bin", WEIGHTS)
    async with start(XET__MODE="http") as gateway:
        await _tells_all(gateway)


async def _tells_all(gateway: Gateway) -> None:
    answer, _ = await ask(gateway, "w.bin", "HEAD")
    digest = BlobKey.of(WEIGHTS).digest
    told = {name: answer.headers.get(name) for name in ("X-Repo-Commit", "ETag", "X-Linked-ETag", "X-Linked-Size")}
    assert answer.status == 200
    assert told == {
        "X-Repo-Commit": COMMIT,
        "ETag": f'"{digest}"',
        "X-Linked-ETag": f'"{digest}"',
        "X-Linked-Size": str(len(WEIGHTS)),
    }
    assert answer.headers["Content-Length"] == str(len(WEIGHTS))
    assert not [name for name in answer.headers if name.lower().startswith("x-xet") or name == "Link"]

    answer, _ = await ask(gateway, "config.json", "HEAD")
    assert answer.headers["ETag"] == f'"{BlobKey.of(CONFIG, Algorithm.GIT).digest}"'
    assert (answer.headers["Content-Length"], answer.headers["X-Repo-Commit"]) == (str(len(CONFIG)), COMMIT)
    assert "X-Linked-ETag" not in answer.headers


async def test_the_fileinfo_form_is_answered_as_if_it_were_not_asked(gateway: Gateway) -> None:
    answer, body = await ask(gateway, "config.json", Accept="application/vnd.xet-fileinfo+json")
    assert (answer.status, body) == (200, CONFIG)


@pytest.mark.parametrize(("path", "content"), [("config.json", CONFIG), ("w.bin", WEIGHTS)])
@pytest.mark.also_in_a_bucket
async def test_each_byte_comes_from_the_hub_once(hub: FileHub, gateway: Gateway, path: str, content: bytes) -> None:
    for _ in range(3):
        answer, body = await ask(gateway, path)
        assert (answer.status, body) == (200, content)
    assert hub.sent_bytes == len(content)
    assert answer.headers["Cache-Status"] == "hfproxy; hit"


@pytest.mark.also_in_a_bucket
async def test_the_same_bytes_in_another_repository_are_not_fetched_again(hub: FileHub, gateway: Gateway) -> None:
    hub.add("copy.bin", WEIGHTS, repo="acme/other")
    assert (await ask(gateway, "w.bin"))[1] == WEIGHTS
    assert (await ask(gateway, "copy.bin", repo="acme/other"))[1] == WEIGHTS
    assert hub.sent_bytes == len(WEIGHTS)


@pytest.mark.also_in_a_bucket
async def test_all_is_served_while_the_hub_is_away_also_after_a_start(hub: FileHub, start: Start) -> None:
    hub.add("config.json", CONFIG, lfs=False)
    hub.add("w.bin", WEIGHTS)
    async with start(FILES__FRESH_FOR="0s", FILES__RIGHTS_FOR="0s") as gateway:
        for path in ("config.json", "w.bin"):
            await ask(gateway, path)
        assert (await ask(gateway, "missing.txt", "HEAD"))[0].status == 404
    hub.down = True
    for offline in ("false", "true"):
        async with start(FILES__FRESH_FOR="0s", FILES__RIGHTS_FOR="0s", FILES__OFFLINE=offline) as gateway:
            for path, content in (("config.json", CONFIG), ("w.bin", WEIGHTS)):
                answer, body = await ask(gateway, path)
                assert (answer.status, body) == (200, content)
                assert "ttl=-1" in answer.headers["Cache-Status"] or "hit" in answer.headers["Cache-Status"]
                head, _ = await ask(gateway, path, "HEAD")
                assert "ttl=-1" in head.headers["Cache-Status"]
            answer, _ = await ask(gateway, "missing.txt", "HEAD")
            assert (answer.status, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")
            assert answer.headers["X-Repo-Commit"] == COMMIT
            answer, _ = await ask(gateway, "never-asked.txt", "HEAD")
            assert answer.status == (504 if offline == "true" else 502)


@pytest.mark.also_in_a_bucket
async def test_ranges_as_rfc_9110_says(gateway: Gateway) -> None:
    etag = f'"{BlobKey.of(WEIGHTS).digest}"'
    size = len(WEIGHTS)
    for path, content in (("w.bin", WEIGHTS), ("config.json", CONFIG)):
        answer, body = await ask(gateway, path, Range="bytes=5-9")
        assert (answer.status, body) == (206, content[5:10])
        assert answer.headers["Content-Range"] == f"bytes 5-9/{len(content)}"
        assert (await ask(gateway, path, Range="bytes=-4"))[1] == content[-4:]
        assert (await ask(gateway, path, Range="bytes=7-"))[1] == content[7:]
        answer, _ = await ask(gateway, path, Range=f"bytes={len(content)}-")
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(content)}")
        answer, body = await ask(gateway, path, Range="bytes=0-1,10-11")
        assert answer.status == 206
        assert answer.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
        assert int(answer.headers["Content-Length"]) == len(body)
        assert body.count(b"Content-Range: bytes ") == 2
        assert b"\r\n\r\n" + content[:2] + b"\r\n--" in body
        assert b"\r\n\r\n" + content[10:12] + b"\r\n--" in body
        assert (await ask(gateway, path, Range="lines=1-2"))[1] == content
    assert (await ask(gateway, "w.bin", Range="bytes=1-2", If_Range=etag))[0].status == 206
    assert (await ask(gateway, "w.bin", Range="bytes=1-2", If_Range='"other"'))[1] == WEIGHTS
    assert (await ask(gateway, "w.bin", If_None_Match=f'"x", {etag}'))[0].status == 304
    assert (await ask(gateway, "w.bin", "HEAD", If_None_Match=etag))[0].status == 304
    assert (await ask(gateway, "w.bin", If_Match='"other"'))[0].status == 412
    head, _ = await ask(gateway, "w.bin", "HEAD", Range="bytes=0-0")
    assert (head.status, head.headers["Content-Length"]) == (200, str(size))


async def test_a_missing_file_is_asked_for_once(hub: FileHub, gateway: Gateway) -> None:
    for _ in range(4):
        answer, _ = await ask(gateway, "adapter_config.json", "HEAD")
        assert (answer.status, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")
        assert answer.headers["X-Repo-Commit"] == COMMIT
    assert hub.count("HEAD") == 1


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_refusals_and_failures_are_never_kept(hub: FileHub, gateway: Gateway, status: int) -> None:
    hub.describe_trouble = [Trouble(status=status, headers={"X-Error-Message": "no", "Retry-After": "7"})]
    answer, _ = await ask(gateway, "w.bin", "HEAD")
    assert answer.status == (502 if status == 500 else status)
    assert (await ask(gateway, "w.bin", "HEAD"))[0].status == 200


async def test_many_ask_and_the_hub_is_asked_once(hub: FileHub, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        hub.add(f"{number}.json", b"%d" % number, lfs=False)
    async with start(FILES__FRESH_FOR="1h") as gateway:
        await asyncio.gather(*(ask(gateway, f"{number}.json", "HEAD") for number in range(20)))
        monkeypatch.setattr(pointers, "time", SimpleNamespace(time=lambda: time.time() + 2 * 3600))
        hub.asked.clear()
        answers = await asyncio.gather(*(ask(gateway, f"{number % 20}.json", "HEAD") for number in range(60)))
        assert {answer.status for answer, _ in answers} == {200}
        assert sum(request.path.endswith(".json") and "/resolve/" in request.path for request in hub.asked) == 1


async def test_new_files_of_one_commit_do_not_wait_for_each_other(hub: FileHub, gateway: Gateway) -> None:
    for number in range(3):
        hub.add(f"{number}.json", b"%d" % number, lfs=False)
    hub.described_together = asyncio.Barrier(3)
    asking = (ask(gateway, f"{number}.json", "HEAD", revision=COMMIT) for number in range(3))
    assert {answer.status for answer, _ in await asyncio.gather(*asking)} == {200}


async def test_a_branch_that_moved_is_seen_when_its_time_is_up(hub: FileHub, start: Start) -> None:
    hub.add("config.json", CONFIG, lfs=False)
    async with start(FILES__FRESH_FOR="200ms") as gateway:
        assert (await ask(gateway, "config.json"))[1] == CONFIG
        hub.repos["acme/demo"].commit = NEXT_COMMIT
        hub.add("config.json", b"{}", lfs=False)
        await asyncio.sleep(0.25)
        answer, body = await ask(gateway, "config.json")
        assert (body, answer.headers["X-Repo-Commit"]) == (b"{}", NEXT_COMMIT)


@pytest.mark.also_in_a_bucket
async def test_fifty_clients_cost_one_cold_file(hub: FileHub, gateway: Gateway) -> None:
    answers = await asyncio.gather(*(ask(gateway, "w.bin") for _ in range(50)))
    assert all(body == WEIGHTS for _, body in answers)
    assert hub.sent_bytes == len(WEIGHTS)


@pytest.mark.also_in_a_bucket
async def test_wrong_bytes_cut_the_answer_and_are_not_kept(hub: FileHub, gateway: Gateway) -> None:
    hub.trouble = [Trouble(corrupt_at=2 * MIB)]
    with pytest.raises(aiohttp.ClientError):
        await ask(gateway, "w.bin")
    assert (await ask(gateway, "w.bin"))[1] == WEIGHTS
    hub.trouble = [Trouble(corrupt_at=0)]
    answer, _ = await ask(gateway, "config.json")
    assert (answer.status, answer.headers["X-Error-Code"]) == (502, "HubSentWrongBytes")
    assert (await ask(gateway, "config.json"))[1] == CONFIG


@pytest.mark.also_in_a_bucket
async def test_a_store_without_room_costs_no_answer(hub: FileHub, start: Start) -> None:
    hub.add("config.json", CONFIG, lfs=False)
    hub.add("w.bin", WEIGHTS)
    async with start(STORAGE__MAX_SIZE="1MiB") as gateway:
        for _ in range(2):
            assert (await ask(gateway, "w.bin"))[1] == WEIGHTS
            assert (await ask(gateway, "w.bin", Range="bytes=2000000-2000009"))[1] == WEIGHTS[2000000:2000010]
        assert (await ask(gateway, "config.json"))[1] == CONFIG


@pytest.mark.also_in_a_bucket
async def test_a_client_killed_at_half_costs_nothing_twice(hub: FileHub, gateway: Gateway) -> None:
    hub.hold_after = 2 * MIB
    hub.gate.clear()
    async with gateway.http.get(f"{gateway.url}/acme/demo/resolve/main/w.bin") as answer:
        await answer.content.readexactly(MIB)
    hub.gate.set()
    _, rest = await ask(gateway, "w.bin", Range=f"bytes={MIB}-")
    assert rest == WEIGHTS[MIB:]
    await eventually(lambda: hub.sent_bytes == len(WEIGHTS))


async def test_a_renamed_repository_is_answered_under_its_old_name(hub: FileHub, gateway: Gateway) -> None:
    hub.repos["acme/new"] = hub.repos.pop("acme/demo")
    hub.add("x", b"", repo="acme/demo")
    hub.repos["acme/demo"].renamed_to = "acme/new"
    answer, body = await ask(gateway, "w.bin")
    assert (answer.status, body, answer.headers["X-Repo-Commit"]) == (200, WEIGHTS, COMMIT)


@pytest.mark.only_in_a_folder
async def test_with_a_front_server_the_file_is_handed_to_it(hub: FileHub, start: Start, tmp_path: Path) -> None:
    hub.add("w.bin", WEIGHTS)
    async with start(FILES__ACCEL_PREFIX="/-/kept") as gateway:
        await ask(gateway, "w.bin")
        digest = BlobKey.of(WEIGHTS).digest
        kept = tmp_path / "data" / "blobs" / "complete" / "sha256" / digest[:2] / digest[2:4] / digest
        await eventually(kept.exists)
        answer, body = await ask(gateway, "w.bin")
        place = answer.headers["X-Accel-Redirect"].removeprefix("/-/kept/")
        assert (tmp_path / "data" / "blobs" / place).read_bytes() == WEIGHTS
        assert body == b""


@pytest.mark.also_in_a_bucket
class TestRights:
    """What a caller may not see on the Hub is never served from what is kept."""

    @pytest.fixture
    async def gateway(self, hub: FileHub, start: Start) -> AsyncIterator[Gateway]:
        hub.add("w.bin", WEIGHTS)
        hub.add("README.md", b"# Open", lfs=False)
        hub.repos["acme/demo"].tokens = {"hf_alice_of_the_tests"}
        async with start(FILES__RIGHTS_FOR="400ms", FILES__FRESH_FOR="1h") as gateway:
            assert (await self.as_(gateway, "alice"))[1] == WEIGHTS
            yield gateway

    @staticmethod
    async def as_(gateway: Gateway, who: str, path: str = "w.bin", **more: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        return await ask(gateway, path, Authorization=f"Bearer hf_{who}_of_the_tests", **more)

    @pytest.mark.parametrize("revision", ["main", COMMIT])
    async def test_others_get_what_the_hub_says_to_them(self, gateway: Gateway, revision: str) -> None:
        answer, body = await self.as_(gateway, "mallory", revision=revision)
        assert (answer.status, answer.headers["X-Error-Code"]) == (404, "RepoNotFound")
        assert WEIGHTS not in body
        for headers in ({"Range": "bytes=0-9"}, {"If_None_Match": f'"{BlobKey.of(WEIGHTS).digest}"'}):
            assert (await self.as_(gateway, "mallory", revision=revision, **headers))[0].status == 404
        answer, _ = await ask(gateway, "w.bin", revision=revision)  # the gateway's own token
        assert answer.status == 404

    async def test_the_same_bytes_elsewhere_give_no_right(self, hub: FileHub, gateway: Gateway) -> None:
        hub.add("own.bin", WEIGHTS, repo="mallory/own")
        assert (await self.as_(gateway, "mallory", "own.bin", repo="mallory/own"))[1] == WEIGHTS
        assert (await self.as_(gateway, "mallory"))[0].status == 404

    async def test_case_is_no_way_round(self, gateway: Gateway) -> None:
        assert (await self.as_(gateway, "mallory", repo="Acme/DEMO"))[0].status == 404

    async def test_a_revoked_token_is_refused_when_the_yes_runs_out(self, hub: FileHub, gateway: Gateway) -> None:
        hub.repos["acme/demo"].tokens = set()
        await asyncio.sleep(0.5)
        assert (await self.as_(gateway, "alice"))[0].status == 404
        hub.down = True
        assert (await self.as_(gateway, "alice"))[0].status == 502

    async def test_a_callers_own_yes_is_not_stretched_while_the_hub_is_away(
        self, hub: FileHub, gateway: Gateway
    ) -> None:
        hub.down = True
        await asyncio.sleep(0.5)
        assert (await self.as_(gateway, "alice"))[0].status == 502

    async def test_a_repository_made_private_is_closed(self, hub: FileHub, gateway: Gateway) -> None:
        hub.add("open.bin", WEIGHTS, repo="acme/open")
        assert (await ask(gateway, "open.bin", repo="acme/open"))[0].status == 200
        hub.repos["acme/open"].tokens = {"hf_alice_of_the_tests"}
        await asyncio.sleep(0.5)
        assert (await ask(gateway, "open.bin", repo="acme/open"))[0].status == 404

    @pytest.mark.parametrize("revision", ["main", COMMIT])
    async def test_a_new_repository_in_an_old_ones_place_opens_nothing(
        self, hub: FileHub, gateway: Gateway, revision: str
    ) -> None:
        del hub.repos["acme/demo"]
        hub.add("readable.txt", b"new", repo="acme/demo", lfs=False)
        hub.repos["acme/demo"].commit = NEXT_COMMIT
        assert (await self.as_(gateway, "mallory", "readable.txt"))[0].status == 200
        assert (await self.as_(gateway, "mallory", revision=revision))[0].status == 404

    async def test_an_open_card_opens_nothing_else(self, hub: FileHub, gateway: Gateway) -> None:
        """A gated repository shows its README to all; a yes for that is none for the weights."""
        hub.open_paths = {"README.md"}
        assert (await self.as_(gateway, "mallory", "README.md"))[1] == b"# Open"
        answer, _ = await self.as_(gateway, "mallory")
        assert answer.status == 404


@pytest.mark.also_in_a_bucket
class TestWrites:
    """A write through the gateway forgets what it changes at once."""

    @pytest.mark.parametrize("body", [{"type": "model", "name": "acme/demo"}, {"type": "model", "name": "demo"}])
    async def test_a_deleted_repository_is_gone(self, hub: FileHub, start: Start, body: dict[str, str]) -> None:
        hub.add("config.json", CONFIG, lfs=False)
        async with start(FILES__FRESH_FOR="1h", FILES__RIGHTS_FOR="1h") as gateway:
            for revision in ("main", COMMIT):
                assert (await ask(gateway, "config.json", revision=revision))[0].status == 200
            async with gateway.http.delete(f"{gateway.url}/api/repo", json=body) as answer:
                assert answer.status == 200
            del hub.repos["acme/demo"]
            for revision in ("main", COMMIT):
                assert (await ask(gateway, "config.json", revision=revision))[0].status == 404

    async def test_a_commit_through_the_relay_is_seen_at_once(self, hub: FileHub, start: Start) -> None:
        hub.add("config.json", CONFIG, lfs=False)
        async with start(FILES__FRESH_FOR="1h", FILES__RIGHTS_FOR="1h") as gateway:
            assert (await ask(gateway, "config.json"))[1] == CONFIG
            hub.repos["acme/demo"].commit = NEXT_COMMIT
            hub.add("config.json", b"{}", lfs=False)
            assert (await ask(gateway, "config.json"))[1] == CONFIG
            async with gateway.http.post(f"{gateway.url}/api/models/acme/demo/commit/main", data=b"{}") as answer:
                assert answer.status == 200
            assert (await ask(gateway, "config.json"))[1] == b"{}"


@pytest.mark.parametrize("told", [10, len(WEIGHTS) - 1, len(WEIGHTS) + 1])
async def test_who_is_told_a_wrong_size_takes_the_file_from_nobody(hub: FileHub, gateway: Gateway, told: int) -> None:
    hub.add("lie.bin", WEIGHTS)
    hub.told_sizes["lie.bin"] = told

    async def asks_for_the_lie() -> None:
        async with asyncio.timeout(60):
            try:
                answer, body = await ask(gateway, "lie.bin")
            except aiohttp.ClientError:
                return
        assert answer.status == 502, (answer.status, len(body))

    hub.hold_after = 1000
    hub.gate.clear()
    whole = asyncio.create_task(ask(gateway, "w.bin"))
    await eventually(lambda: hub.bodies_at_once > 0)
    await asks_for_the_lie()
    hub.gate.set()
    assert (await whole)[1] == WEIGHTS
    await eventually(lambda: hub.bodies_at_once == 0)

    await asks_for_the_lie()
    hub.always = Trouble(status=500)
    answer, body = await ask(gateway, "w.bin", "GET")
    assert (answer.status, body == WEIGHTS) == (200, True)
