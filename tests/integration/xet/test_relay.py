"""Xet through the gateway, step by step: what is told leads here, what lies in the store is kept, and for whom."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from hfproxy.downstream.access import Role
from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from hfproxy.sandbox.trouble import Trouble
from tests.integration.access.test_callers import keys_of, make_key
from tests.support.gateway import Gateway, gateway_for
from tests.support.waiting import eventually
from tests.support.xet import XetClient, add, plant

ALICE, BOB = "hf_sandbox_alice", "hf_sandbox_bob"
# As random bytes do not shrink, a chunk's bytes are the file's own.
FILE = Random(7).randbytes(700_000)


@dataclass
class Road:
    """A gateway in front of a sandbox that has `alice/demo` with `w.bin`."""

    gateway: Gateway
    sandbox: Sandbox
    root: Path

    def client(self, bearer: str | None = ALICE) -> XetClient:
        return XetClient(self.gateway.http, self.gateway.url, bearer)

    @property
    def sent_bytes(self) -> int:
        """Bytes of xorbs that the sandbox's CDN sent."""
        return self.sandbox.hub.cas.traffic.bytes_out

    def asked(self, origin: str) -> list[Any]:
        return [each for each in self.sandbox.asked if each.origin == origin]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox(SandboxConfig(public_url="https://huggingface.co")) as running:
        plant(running, "alice/demo", {"w.bin": FILE})
        yield running


@pytest.fixture
async def road(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Road]:
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="", XET__MODE="relay") as gateway:
        yield Road(gateway, sandbox, tmp_path)


async def test_an_offer_and_both_forms_of_a_token_lead_to_the_gateway_and_nowhere_else(road: Road) -> None:
    base = road.gateway.url
    for _ in ("asked of the Hub", "kept"):
        status, headers = await road.client().offer("alice/demo/resolve/main/w.bin")
        assert status == 200
        commit, name = headers["X-Repo-Commit"], headers["X-Xet-Hash"]
        assert headers["Link"] == (
            f'<{base}/api/models/alice/demo/xet-read-token/{commit}>; rel="xet-auth", '
            f'<{base}/-/xet/cas/v1/reconstructions/{name}>; rel="xet-reconstruction-info"'
        )
    status, told, body = await road.client().token("alice/demo", commit)
    assert status == 200
    assert (told["X-Xet-Cas-Url"], told["X-Xet-Access-Token"], told["X-Xet-Token-Expiration"]) == (
        body["casUrl"],
        body["accessToken"],
        str(body["exp"]),
    )
    assert body["casUrl"] == f"{base}/-/xet/cas"
    assert body["accessToken"].startswith("hfx_")
    async with road.gateway.http.get(
        f"{base}/alice/demo/resolve/main/w.bin",
        headers={"Accept": "application/vnd.xet-fileinfo+json", **road.client().headers},
    ) as answer:
        info = await answer.json(content_type=None)
    assert info["refreshUrl"].startswith(f"{base}/api/models/alice/demo/xet-read-token/")
    assert info["reconstructionUrl"] == f"{base}/-/xet/cas/v1/reconstructions/{name}"
    async with road.gateway.http.get(f"{base}/api/models/alice/demo/tree/main", headers=road.client().headers) as tree:
        assert {each.get("xetHash") for each in await tree.json() if each["path"] == "w.bin"} == {name}


@pytest.mark.parametrize("version", [1, 2])
async def test_a_file_is_put_together_and_the_second_time_nothing_is_fetched(road: Road, version: int) -> None:
    assert await road.client().download("alice/demo", "w.bin", version=version) == FILE
    sent = road.sent_bytes
    assert sent < 1.01 * len(FILE)
    assert await road.client().download("alice/demo", "w.bin", version=version) == FILE
    assert road.sent_bytes == sent


async def test_a_second_version_costs_what_is_new_in_it(road: Road) -> None:
    await road.client().download("alice/demo", "w.bin")
    sent = road.sent_bytes
    second = FILE[:300_000] + Random(8).randbytes(30_000) + FILE[330_000:]
    plant(road.sandbox, "alice/second", {"w.bin": second})
    assert await road.client().download("alice/second", "w.bin") == second
    assert 30_000 <= road.sent_bytes - sent < 0.4 * len(FILE)  # chunks of 64 KiB and more are cut around the change


async def test_no_token_goes_where_it_does_not_belong(road: Road) -> None:
    client = road.client()
    await client.download("alice/demo", "w.bin")
    _, _, told = await client.token("alice/demo")
    real = [each.headers["Authorization"] for each in road.asked("cas")]
    assert real and all(value.startswith("Bearer xet_") for value in real)
    assert not [each for each in road.asked("cdn") if "Authorization" in each.headers]
    assert told["accessToken"] not in str([dict(each.headers) for each in road.sandbox.asked])
    asked = len(list(road.sandbox.asked))
    for path in ("/api/whoami-v2", "/api/models/alice/demo", "/alice/demo/resolve/main/w.bin"):
        async with road.gateway.http.get(
            road.gateway.url + path, headers={"Authorization": f"Bearer {told['accessToken']}"}
        ) as answer:
            assert answer.status == 401
    for bearer in (ALICE, "hfx_nonsense", "hfx_" + "A" * 300):
        status, _, _ = await client.cas(told | {"accessToken": bearer}, "GET", "/v1/reconstructions/" + "0" * 64)
        assert status == 401
    assert len(list(road.sandbox.asked)) == asked


async def test_an_address_that_the_gateway_did_not_give_leads_nowhere(road: Road) -> None:
    client = road.client()
    _, headers = await client.offer("alice/demo/resolve/main/w.bin")
    _, _, told = await client.token("alice/demo")
    _, [place, *_] = await client.ranges(told, headers["X-Xet-Hash"])
    asked = len(list(road.sandbox.asked))
    base, _, ticket = place.url.rpartition("/")
    for forged in ("nonsense", ticket[:-4], ticket[:20] + ("A" if ticket[20] != "A" else "B") + ticket[21:]):
        async with road.gateway.http.get(f"{base}/{forged}", headers={"Range": "bytes=0-1"}) as answer:
            assert answer.status == 403  # which makes a client ask for the reconstruction again
    for wanted, status in [(f"bytes=0-{place.last + 1}", 403), ("bytes=0-", 400), ("bytes=0-1,3-4", 400)]:
        async with road.gateway.http.get(place.url, headers={"Range": wanted}) as answer:
            assert answer.status == status
    for path in ("/../../api/whoami-v2", "/v1/%2e%2e/x", "/whoami", "/v1", "//evil.example/v1/x"):
        status, _, _ = await client.cas(told, "GET", path)
        assert status in {400, 404}, path
    assert len(list(road.sandbox.asked)) == asked


async def test_who_may_not_read_a_repository_gets_none_of_its_chunks_though_they_are_kept(road: Road) -> None:
    secret = Random(9).randbytes(300_000)
    plant(road.sandbox, "alice/secret", {"w.bin": secret}, visibility="private")
    alice, bob = road.client(), road.client(BOB)
    assert await alice.download("alice/secret", "w.bin") == secret
    _, headers = await alice.offer("alice/secret/resolve/main/w.bin")
    status, _, _ = await bob.token("alice/secret")
    assert status in {401, 403, 404}
    _, _, told = await bob.token("alice/demo")
    for version in (1, 2):
        status, _, _ = await bob.cas(told, "GET", f"/v{version}/reconstructions/{headers['X-Xet-Hash']}")
        assert status == 404
    # The same chunks in a repository of Bob's are his to read, and nobody fetches them twice.
    plant(road.sandbox, "bob/copy", {"w.bin": secret}, by="bob")
    sent = road.sent_bytes
    assert await bob.download("bob/copy", "w.bin") == secret
    assert road.sent_bytes == sent


async def test_a_xorb_that_breaks_off_is_gone_on_with_and_kept_whole(road: Road) -> None:
    road.sandbox.hub.troubles.add(Trouble.parse("origin=cdn,method=GET,path=/xorb/*,cut=200kB,times=2"))
    assert await road.client().download("alice/demo", "w.bin") == FILE
    sent = road.sent_bytes
    assert await road.client().download("alice/demo", "w.bin") == FILE
    assert road.sent_bytes == sent


async def test_a_poisoned_xorb_is_neither_given_whole_nor_kept(road: Road) -> None:
    road.sandbox.hub.troubles.add(Trouble.parse("origin=cdn,method=GET,path=/xorb/*,corrupt=250kB,times=1"))
    client = road.client()
    _, headers = await client.offer("alice/demo/resolve/main/w.bin")
    _, _, told = await client.token("alice/demo")
    _, [place] = await client.ranges(told, headers["X-Xet-Hash"])
    try:
        status, _ = await client.fetch(place)
    except aiohttp.ClientError:
        pass  # cut before its last byte
    else:
        raise AssertionError(status)
    status, body = await client.fetch(place)
    assert (status, len(body)) == (206, place.last - place.first + 1)
    assert await client.download("alice/demo", "w.bin") == FILE


async def test_what_no_name_proves_is_fetched_anew_for_who_asks_again(road: Road) -> None:
    """A part of a xorb has no hash of its own: who got it and asks for it a second time could not use it."""
    client = road.client()
    _, headers = await client.offer("alice/demo/resolve/main/w.bin")
    _, _, told = await client.token("alice/demo")
    road.sandbox.hub.troubles.add(Trouble.parse("origin=cdn,method=GET,path=/xorb/*,corrupt=100,times=1"))
    _, [place] = await client.ranges(told, headers["X-Xet-Hash"], part="bytes=300000-400000")
    _, poisoned = await client.fetch(place)
    _, again = await client.fetch(place)
    assert poisoned != again
    _, [fresh] = await client.ranges(told, headers["X-Xet-Hash"], part="bytes=300000-400000")
    sent = road.sent_bytes
    assert await client.fetch(fresh) == (206, again)
    assert road.sent_bytes == sent
    assert await client.download("alice/demo", "w.bin") == FILE


async def test_a_poisoned_part_of_a_xorb_is_given_to_no_other_repository(road: Road) -> None:
    client = road.client()
    plant(road.sandbox, "alice/copy", {"w.bin": FILE})
    _, headers = await client.offer("alice/demo/resolve/main/w.bin")
    bodies = {}
    for repo in ("alice/demo", "alice/copy"):
        road.sandbox.hub.troubles.clear()
        if repo == "alice/demo":
            road.sandbox.hub.troubles.add(Trouble.parse("origin=cdn,method=GET,path=/xorb/*,corrupt=100,times=1"))
        _, _, told = await client.token(repo)
        _, [place] = await client.ranges(told, headers["X-Xet-Hash"], part="bytes=300000-400000")
        status, bodies[repo] = await client.fetch(place)
        assert status == 206
    assert bodies["alice/demo"] != bodies["alice/copy"]
    assert bodies["alice/copy"][8:1000] in FILE


async def test_what_contradicts_a_proven_chunk_is_refused_and_what_is_contradicted_is_forgotten(road: Road) -> None:
    client = road.client()
    _, headers = await client.offer("alice/demo/resolve/main/w.bin")
    _, _, told = await client.token("alice/demo")
    road.sandbox.hub.troubles.add(Trouble.parse("origin=cdn,method=GET,path=/xorb/*,corrupt=100,times=1"))
    _, [place] = await client.ranges(told, headers["X-Xet-Hash"], part="bytes=300000-400000")
    await client.fetch(place)  # poisoned, and kept for want of proof
    assert await client.download("alice/demo", "w.bin") == FILE
    _, [place] = await client.ranges(told, headers["X-Xet-Hash"], part="bytes=300000-400000")
    status, body = await client.fetch(place)
    assert status == 206
    assert body[8:] and body[8 : 8 + 1000] in FILE


async def test_an_address_that_ran_out_upstream_is_told_so_that_another_is_asked_for(road: Road) -> None:
    client = road.client()
    road.sandbox.hub.troubles.add(Trouble.parse("origin=cdn,method=GET,path=/xorb/*,status=403,times=1"))
    _, headers = await client.offer("alice/demo/resolve/main/w.bin")
    _, _, told = await client.token("alice/demo")
    _, [place] = await client.ranges(told, headers["X-Xet-Hash"])
    assert (await client.fetch(place))[0] == 403
    assert await client.download("alice/demo", "w.bin") == FILE


async def test_many_who_want_the_same_cold_range_cost_one_fetch(road: Road) -> None:
    client = road.client()
    downloads = [asyncio.create_task(client.download("alice/demo", "w.bin")) for _ in range(8)]
    assert await asyncio.gather(*downloads) == [FILE] * 8
    assert road.sent_bytes < 1.01 * len(FILE)


async def test_what_was_evicted_is_fetched_again(road: Road) -> None:
    await road.client().download("alice/demo", "w.bin")
    for blob in (road.root / "blobs" / "complete").rglob("*"):
        if blob.is_file():
            blob.unlink()
    assert await road.client().download("alice/demo", "w.bin") == FILE


async def test_a_store_without_room_costs_speed_and_no_answer(sandbox: Sandbox, tmp_path: Path) -> None:
    small = {"UPSTREAM__TOKEN": "", "XET__MODE": "relay", "STORAGE__MAX_SIZE": "1000"}
    async with gateway_for(sandbox.url, tmp_path, **small) as gateway:
        road = Road(gateway, sandbox, tmp_path)
        for _ in range(2):
            assert await road.client().download("alice/demo", "w.bin") == FILE


async def test_a_key_gets_write_tokens_only_where_it_may_write_and_none_of_its_tokens_outlives_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    plant(sandbox, "alice/other", {"w.bin": FILE[:100_000]})
    limited = await make_key(tmp_path, "limited", repos=["alice/demo"])
    reader = await make_key(tmp_path, "reader", Role.READER)
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN=ALICE, XET__MODE="relay") as gateway:
        road = Road(gateway, sandbox, tmp_path)
        for key, repo, kind, status in [
            (limited, "alice/demo", "write", 200),
            (limited, "alice/other", "write", 403),
            (limited, "alice/other", "read", 403),
            (reader, "alice/demo", "write", 403),
            (reader, "alice/demo", "read", 200),
        ]:
            assert (await road.client(key).token(repo, kind=kind))[0] == status, (key, repo, kind)
        client = road.client(limited)
        _, headers = await client.offer("alice/demo/resolve/main/w.bin")
        _, _, told = await client.token("alice/demo")
        _, [place] = await client.ranges(told, headers["X-Xet-Hash"])
        assert (await client.fetch(place))[0] == 206
        async with keys_of(tmp_path) as keys:
            await keys.revoke("limited")
        await eventually(lambda: client.fetch(place), lambda fetched: fetched[0] != 206)
        assert (await client.fetch(place))[0] == 401
        assert (await client.cas(told, "GET", "/v1/reconstructions/" + "0" * 64))[0] == 401


async def test_rules_that_change_end_what_was_begun_before(sandbox: Sandbox, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("")
    settings = {"UPSTREAM__TOKEN": "", "XET__MODE": "relay", "POLICY__FILE": str(rules)}
    async with gateway_for(sandbox.url, tmp_path, **settings) as gateway:
        client = XetClient(gateway.http, gateway.url, ALICE)
        _, headers = await client.offer("alice/demo/resolve/main/w.bin")
        _, _, told = await client.token("alice/demo")
        _, _, to_write = await client.token("alice/demo", kind="write")
        _, [place] = await client.ranges(told, headers["X-Xet-Hash"])
        assert (await client.fetch(place))[0] == 206
        rules.write_text('[[rule]]\nname = "no-pickle"\neffect = "deny"\nfiles = ["*.pkl"]\n')
        await eventually(lambda: client.token("alice/demo"), lambda token: token[0] != 200)
        asked = len(list(sandbox.asked))
        for token in (told, to_write):
            for version in (1, 2):
                path = f"/v{version}/reconstructions/{headers['X-Xet-Hash']}"
                status, body, _ = await client.cas(token, "GET", path)
                assert (status, b"no-pickle" in body) == (403, True)
        assert (await client.fetch(place))[0] == 403
        assert len(list(sandbox.asked)) == asked
        async with gateway.http.get(f"{gateway.url}/alice/demo/resolve/main/w.bin", headers=client.headers) as answer:
            assert await answer.read() == FILE


async def test_a_grant_leads_through_the_gateway(road: Road) -> None:
    client = road.client()
    _, _, told = await client.token("alice/demo", kind="write")
    name = "1" * 64
    question = json.dumps({"length": 5, "checksum": {"algo": "crc64nvme", "value": "1"}}).encode()
    status, body, _ = await client.cas(
        told, "POST", f"/v1/xorb-grants/default/{name}", data=question, **{"Content-Type": "application/json"}
    )
    granted = json.loads(body)
    assert status == 201
    assert granted["url"].startswith(f"{road.gateway.url}/-/lfs/")
    async with road.gateway.http.put(granted["url"], data=b"12345") as answer:
        assert answer.status == 200
    async with road.gateway.http.get(granted["url"]) as answer:
        assert answer.status == 405


async def test_telemetry_is_heard_and_not_taken_for_a_wrong_key(road: Road) -> None:
    _, _, told = await road.client().token("alice/demo")
    for _ in range(30):
        async with road.gateway.http.post(
            f"{road.gateway.url}/v1/telemetry", json={}, headers={"Authorization": f"Bearer {told['accessToken']}"}
        ) as answer:
            assert answer.status == 204
    assert (await road.client().token("alice/demo"))[0] == 200
    assert not [each for each in road.sandbox.asked if "telemetry" in each.raw_path]


async def test_a_hub_that_is_away_is_not_offered_by(sandbox: Sandbox, tmp_path: Path) -> None:
    quick = {"UPSTREAM__TOKEN": "", "XET__MODE": "relay", "FILES__FRESH_FOR": "0s", "FILES__RIGHTS_FOR": "0s"}
    async with gateway_for(sandbox.url, tmp_path, **quick) as gateway:
        client = XetClient(gateway.http, gateway.url, None)
        assert "X-Xet-Hash" in (await client.offer("alice/demo/resolve/main/w.bin"))[1]
        sandbox.hub.troubles.add(Trouble.parse("origin=hub,status=503"))
        status, headers = await client.offer("alice/demo/resolve/main/w.bin")
        assert status == 200
        assert "X-Xet-Hash" not in headers and "Link" not in headers


@pytest.mark.parametrize("mode", ["http", "direct"])
async def test_the_other_modes(sandbox: Sandbox, tmp_path: Path, mode: str) -> None:
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="", XET__MODE=mode) as gateway:
        client = XetClient(gateway.http, gateway.url, ALICE)
        _, headers = await client.offer("alice/demo/resolve/main/w.bin")
        async with gateway.http.get(f"{gateway.url}/api/models/alice/demo/tree/main", headers=client.headers) as tree:
            hashes = ["xetHash" in each for each in await tree.json() if each["path"] == "w.bin"]
        _, told, body = await client.token("alice/demo", kind="write")
        if mode == "http":
            # Files go over HTTP; what goes by Xet alone goes through us.
            assert "X-Xet-Hash" not in headers and "Link" not in headers and hashes == [False]
            assert body["casUrl"] == told["X-Xet-Cas-Url"] == f"{gateway.url}/-/xet/cas"
        else:
            assert headers["X-Xet-Hash"] and f"<{gateway.url}/api/models/alice/demo/xet-read-token/" in headers["Link"]
            assert hashes == [True]
            assert body["casUrl"] == told["X-Xet-Cas-Url"] == sandbox.cas_url
            assert told["X-Xet-Access-Token"] == body["accessToken"]
            assert body["accessToken"].startswith("xet_")


async def test_a_new_commit_is_offered_with_its_own_hash(road: Road) -> None:
    client = road.client()
    _, before = await client.offer("alice/demo/resolve/main/w.bin")
    [repo] = [repo for repo in road.sandbox.hub.repos if str(repo.ref).endswith("alice/demo")]
    add(road.sandbox, repo, {"w.bin": FILE[::-1]})
    _, after = await client.offer(f"alice/demo/resolve/{before['X-Repo-Commit']}/w.bin")
    assert after["X-Xet-Hash"] == before["X-Xet-Hash"]


async def test_a_tree_that_is_told_while_the_hub_is_away_offers_no_xet(sandbox: Sandbox, tmp_path: Path) -> None:
    quick = {"UPSTREAM__TOKEN": "", "XET__MODE": "relay", "FILES__FRESH_FOR": "0s", "FILES__RIGHTS_FOR": "0s"}
    async with gateway_for(sandbox.url, tmp_path, **quick) as gateway:

        async def hashes() -> list[bool]:
            async with gateway.http.get(f"{gateway.url}/api/models/alice/demo/tree/main") as tree:
                assert tree.status == 200
                return ["xetHash" in each for each in await tree.json() if each["path"] == "w.bin"]

        assert await hashes() == [True]
        sandbox.hub.troubles.add(Trouble.parse("origin=hub,status=503"))
        assert await hashes() == [False]
