"""Who is offered what by Xet: nobody who would get no token for it, as clients do not fall back to HTTP."""

import json
from pathlib import Path

import pytest

from hfproxy.sandbox.server import Sandbox
from hfproxy.sandbox.trouble import Trouble
from hfproxy.upstream.rewriting import MAX_HTTP_DOWNLOAD_SIZE
from tests.integration.access.test_callers import make_key
from tests.integration.xet.test_relay import ALICE, FILE, sandbox
from tests.support.gateway import Gateway, gateway_for
from tests.support.scripted_hub import says, scripted_hub
from tests.support.xet import XetClient, plant

__all__ = ["sandbox"]

NO_PICKLE = """
[[rule]]
name = "no-pickle"
effect = "deny"
callers = ["key:limited"]
files = ["*.pkl"]
"""
TREE = "/api/models/alice/demo/tree/main"
HASH = "a" * 64


async def offered(gateway: Gateway, bearer: str | None = None, repo: str = "alice/demo") -> dict[str, bool]:
    """By each way of being told: whether `w.bin` is offered."""
    client = XetClient(gateway.http, gateway.url, bearer)
    status, headers = await client.offer(f"{repo}/resolve/main/w.bin")
    assert status == 200
    assert ("X-Xet-Hash" in headers) is ("Link" in headers)
    found = {"resolve": "X-Xet-Hash" in headers}
    api = f"{gateway.url}/api/models/{repo}"
    async with gateway.http.get(f"{api}/tree/main", headers=client.headers) as answer:
        told = {"tree": await answer.json()}
    for way, chunked in (("paths-info", None), ("paths-info in chunks", True)):
        async with gateway.http.post(
            f"{api}/paths-info/main", json={"paths": ["w.bin"]}, headers=client.headers, chunked=chunked
        ) as answer:
            told[way] = await answer.json()
    found |= {way: any("xetHash" in each for each in entries) for way, entries in told.items()}
    fileinfo = {"Accept": "application/vnd.xet-fileinfo+json", **client.headers}
    async with gateway.http.get(f"{gateway.url}/{repo}/resolve/main/w.bin", headers=fileinfo) as answer:
        assert answer.status == 200
        body = await answer.read()
    found["fileinfo"] = body != FILE
    return found


async def test_who_may_not_read_every_file_is_offered_none_by_xet_and_gets_the_others_over_http(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    plant(sandbox, "alice/mixed", {"w.bin": FILE, "model.pkl": b"\x80" * 100_000})
    limited, free = await make_key(tmp_path, "limited"), await make_key(tmp_path, "free")
    rules = tmp_path / "rules.toml"
    rules.write_text(NO_PICKLE)
    settings = {"UPSTREAM__TOKEN": ALICE, "XET__MODE": "relay", "POLICY__FILE": str(rules)}
    async with gateway_for(sandbox.url, tmp_path, **settings) as gateway:
        assert set((await offered(gateway, free, "alice/mixed")).values()) == {True}
        assert set((await offered(gateway, limited, "alice/mixed")).values()) == {False}
        assert (await XetClient(gateway.http, gateway.url, limited).token("alice/mixed"))[0] == 403
        address = f"{gateway.url}/alice/mixed/resolve/main/"
        for path, status in (("w.bin", 200), ("model.pkl", 403)):
            async with gateway.http.get(address + path, headers={"Authorization": f"Bearer {limited}"}) as answer:
                assert answer.status == status
                assert path != "w.bin" or await answer.read() == FILE
        # What the one was told first is not what the other is told.
        assert set((await offered(gateway, free, "alice/mixed")).values()) == {True}


async def test_what_is_kept_and_fresh_offers_no_xet_once_the_hub_was_found_away(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    long = {"FILES__FRESH_FOR": "1h", "FILES__RIGHTS_FOR": "1h"}
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="", XET__MODE="relay", **long) as gateway:
        client = XetClient(gateway.http, gateway.url, None)
        async with gateway.http.get(f"{gateway.url}/alice/demo/resolve/main/w.bin") as answer:
            assert await answer.read() == FILE
        assert (await offered(gateway))["tree"]
        sandbox.hub.troubles.add(Trouble.parse("origin=hub,status=503"))
        assert (await client.token("alice/demo"))[0] == 503
        _, headers = await client.offer("alice/demo/resolve/main/w.bin")
        assert "X-Xet-Hash" not in headers
        async with gateway.http.get(gateway.url + TREE) as answer:
            assert b"xetHash" not in await answer.read()
        sandbox.hub.troubles.clear()
        assert (await client.token("alice/demo"))[0] == 200
        assert set((await offered(gateway)).values()) == {True}


@pytest.mark.parametrize("before", ["http", "relay"])
async def test_what_was_kept_in_any_mode_answers_an_offline_gateway_and_offers_no_xet(
    sandbox: Sandbox, tmp_path: Path, before: str
) -> None:
    settings = {"UPSTREAM__TOKEN": "", "FILES__FRESH_FOR": "1h", "FILES__RIGHTS_FOR": "1h"}
    async with gateway_for(sandbox.url, tmp_path, XET__MODE=before, **settings) as gateway:
        for path in (TREE, "/alice/demo/resolve/main/w.bin"):
            async with gateway.http.get(gateway.url + path) as answer:
                assert answer.status == 200
                await answer.read()
    async with gateway_for(sandbox.url, tmp_path, XET__MODE="relay", FILES__OFFLINE="true", **settings) as gateway:
        async with gateway.http.get(gateway.url + TREE) as answer:
            assert answer.status == 200
            assert b"xetHash" not in await answer.read()
        async with gateway.http.get(f"{gateway.url}/alice/demo/resolve/main/w.bin") as answer:
            assert "X-Xet-Hash" not in answer.headers
            assert await answer.read() == FILE


async def test_without_xet_for_others_files_that_clients_take_no_other_way_are_offered_wherever_they_are_told(
    tmp_path: Path,
) -> None:
    large, small = MAX_HTTP_DOWNLOAD_SIZE + 1, MAX_HTTP_DOWNLOAD_SIZE
    async with scripted_hub(says(200, b"")) as hub, gateway_for(hub.url, tmp_path, XET__MODE="http") as gateway:
        entries = [
            {"type": "file", "path": str(size), "size": size, "lfs": {"size": size}, "xetHash": HASH}
            for size in (1, small, large)
        ]
        hub.reply = says(200, json.dumps(entries).encode())
        async with gateway.http.get(gateway.url + TREE) as answer:
            assert [each["size"] for each in await answer.json() if "xetHash" in each] == [large]
        for size in (1, small, large):
            link = f'<https://huggingface.co/api/models/alice/demo/xet-read-token/{"0" * 40}>; rel="xet-auth"'
            hub.reply = says(
                200,
                b"",
                X_Repo_Commit="0" * 40,
                X_Linked_Etag=f'"{HASH}"',
                X_Linked_Size=str(size),
                X_Xet_Hash=HASH,
                Link=link,
            )
            async with gateway.http.head(f"{gateway.url}/alice/demo/resolve/main/{size}.bin") as answer:
                assert answer.status == 200
                assert ("X-Xet-Hash" in answer.headers) is ("Link" in answer.headers) is (size == large), size
