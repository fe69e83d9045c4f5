"""What the relay makes of the Hub's answers, in front of the sandbox: rights, tickets, codes, redirects."""

import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.integration.access.test_callers import keys_of, make_key
from tests.support.gateway import Gateway, gateway_for
from tests.support.waiting import eventually

ALICE = {"Authorization": "Bearer hf_sandbox_alice"}
LFS = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
BODY = b"\x00" * 300_000
OID = hashlib.sha256(BODY).hexdigest()


@dataclass
class Road:
    """A gateway that keeps files on plain HTTP, in front of a sandbox with one repository, `alice/demo`."""

    gateway: Gateway
    sandbox: Sandbox

    async def ask(self, method: str, path: str, **options: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        options.setdefault("allow_redirects", False)
        async with self.gateway.http.request(method, self.gateway.url + path, **options) as response:
            return response, await response.read()

    async def batch(self, operation: str, headers: dict[str, str], size: int = len(BODY)) -> tuple[int, Any]:
        body = {
            "operation": operation,
            "transfers": ["basic", "multipart", "xet"],
            "objects": [{"oid": OID, "size": size}],
        }
        response, raw = await self.ask(
            "POST", "/alice/demo.git/info/lfs/objects/batch", json=body, headers=headers | LFS
        )
        return response.status, await response.json(content_type=None) if raw else None


@pytest.fixture
async def road(tmp_path: Path) -> AsyncIterator[Road]:
    async with (
        running_sandbox(SandboxConfig(public_url="https://huggingface.co")) as sandbox,
        gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="", ACCESS__ANONYMOUS="reader", XET__MODE="http") as gateway,
    ):
        road = Road(gateway, sandbox)
        response, _ = await road.ask("POST", "/api/repos/create", json={"name": "demo"}, headers=ALICE)
        assert (await response.json())["url"] == f"{gateway.url}/alice/demo"
        yield road


async def upload(road: Road) -> None:
    """`big.bin`, as an LFS object, committed."""
    status, told = await road.batch("upload", ALICE)
    assert status == 200, told
    [upload] = told["objects"]
    href = upload["actions"]["upload"]["href"]
    assert href.startswith(f"{road.gateway.url}/-/lfs/")
    async with road.gateway.http.put(href, data=BODY) as response:
        assert response.status == 200
    async with road.gateway.http.post(
        upload["actions"]["verify"]["href"], json={"oid": OID, "size": len(BODY)}, headers=ALICE | LFS
    ) as response:
        assert response.status == 200
    steps = [
        {"key": "header", "value": {"summary": "Add"}},
        {"key": "lfsFile", "value": {"path": "big.bin", "algo": "sha256", "oid": OID, "size": len(BODY)}},
        {"key": "file", "value": {"path": "small.txt", "encoding": "base64", "content": "c21hbGw="}},
    ]
    lines = "\n".join(json.dumps(step) for step in steps)
    response, _ = await road.ask(
        "POST",
        "/api/models/alice/demo/commit/main",
        data=lines,
        headers=ALICE | {"Content-Type": "application/x-ndjson"},
    )
    assert response.status == 200
    assert (await response.json())["commitUrl"].startswith(f"{road.gateway.url}/alice/demo/commit/")


async def test_bytes_go_to_the_store_and_back_without_any_token(road: Road) -> None:
    await upload(road)
    status, told = await road.batch("download", {})
    assert status == 200
    href = told["objects"][0]["actions"]["download"]["href"]
    async with road.gateway.http.get(href, headers={"Range": "bytes=299990-"} | ALICE) as response:
        assert (response.status, await response.read()) == (206, BODY[-10:])
    store = [asked for asked in road.sandbox.asked if asked.origin == "cdn"]
    assert [asked.method for asked in store] == ["PUT", "GET"]
    assert not [asked for asked in store if "Authorization" in asked.headers or "Cookie" in asked.headers]


async def test_a_ticket_takes_only_what_it_was_made_for(road: Road) -> None:
    _, told = await road.batch("upload", ALICE)
    ticket = told["objects"][0]["actions"]["upload"]["href"].removeprefix(road.gateway.url)
    for method, path, status in [("GET", ticket, 405), ("PUT", ticket[:-4], 404), ("PUT", f"{ticket}/x", 404)]:
        response, _ = await road.ask(method, path, data=b"x" if method == "PUT" else None)
        assert response.status == status


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize(("path", "etag", "length"), [("big.bin", OID, len(BODY)), ("small.txt", None, 5)])
async def test_a_file_is_answered_whole_from_here(
    method: str, path: str, etag: str | None, length: int, road: Road
) -> None:
    await upload(road)
    response, body = await road.ask(method, f"/alice/demo/resolve/main/{path}", headers={"Accept-Encoding": "identity"})
    assert response.status == 200
    assert response.headers["X-Repo-Commit"]
    assert response.headers["Content-Length"] == str(length)
    assert etag is None or response.headers["ETag"] == f'"{etag}"'
    assert "X-Xet-Hash" not in response.headers
    assert len(body) == (length if method == "GET" else 0)


async def test_a_range_holds_if_the_etag_is_the_files_and_else_the_file_comes_whole(road: Road) -> None:
    await upload(road)
    for if_range, status in [(f'"{OID}"', 206), ('"other"', 200)]:
        headers = {"Range": "bytes=0-9", "If-Range": if_range}
        response, body = await road.ask("GET", "/alice/demo/resolve/main/big.bin", headers=headers)
        assert (response.status, len(body)) == (status, 10 if status == 206 else len(BODY))
    response, _ = await road.ask("GET", "/alice/demo/resolve/main/big.bin", headers={"Range": "bytes=400000-"})
    assert (response.status, response.headers["Content-Range"]) == (416, f"bytes */{len(BODY)}")


async def test_a_file_is_not_offered_in_its_xet_form(road: Road) -> None:
    await upload(road)
    headers = {"Accept": "application/vnd.xet-fileinfo+json, */*", "Range": "bytes=0-0"}
    response, body = await road.ask("GET", "/alice/demo/resolve/main/big.bin", headers=headers)
    assert (response.status, body) == (206, b"\x00")


async def test_a_reader_reads_by_whatever_method_and_writes_by_none(road: Road) -> None:
    await upload(road)
    reads: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/api/models/alice/demo/paths-info/main", {"data": {"paths": "small.txt"}}),
        ("GET", "/api/models/alice/demo/xet-read-token/main", {}),
        ("POST", "/api/validate-yaml", {"json": {"content": "---\nlicense: mit\n---\n", "repoType": "model"}}),
    ]
    for method, path, options in reads:
        response, _ = await road.ask(method, path, **options)
        assert response.headers.get("X-Error-Code") not in {"CallerNotAllowed", "CallerUnknown"}, path
    writes: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/api/repos/create", {"json": {"name": "x"}}),
        ("DELETE", "/api/repos/delete", {"json": {"name": "demo", "organization": "alice"}}),
        ("POST", "/api/models/alice/demo/commit/main", {"data": b""}),
        ("GET", "/api/models/alice/demo/xet-write-token/main", {}),
        ("GET", "/api/settings/webhooks", {}),
        ("GET", "/api/models/alice/demo/jwt", {}),
    ]
    asked = len(list(road.sandbox.asked))
    for method, path, options in writes:
        response, _ = await road.ask(method, path, **options)
        assert (response.status, response.headers["X-Error-Code"]) == (403, "CallerNotAllowed"), path
    # git shows the key that it may have once it is asked for it, and not before.
    response, _ = await road.ask("GET", "/alice/demo/info/refs?service=git-receive-pack")
    assert (response.status, response.headers["X-Error-Code"]) == (401, "CallerUnknown")
    assert (await road.batch("upload", {}))[0] == 401
    assert len(list(road.sandbox.asked)) == asked


async def test_a_missing_repository_is_told_from_a_rejected_token(road: Road) -> None:
    for path in ("/api/models/alice/nothing", "/alice/nothing/resolve/main/x", "/api/datasets/a/b/tree/main"):
        response, _ = await road.ask("GET", path)
        assert (response.status, response.headers.get("X-Error-Code")) == (401, "RepoNotFound")
    response, _ = await road.ask("GET", "/api/models/alice/nothing", headers={"Authorization": "Bearer hf_wrong"})
    assert (response.status, response.headers.get("X-Error-Code")) == (401, None)
    response, _ = await road.ask("GET", "/api/whoami-v2")
    assert (response.status, response.headers.get("X-Error-Code")) == (401, None)


async def test_a_path_of_ours_or_of_no_one_meaning_is_not_relayed(road: Road) -> None:
    for path, status in [("/-/nothing", 404), ("/-/lfs/x", 404), ("/api/account/x/%2e%2e/y", 400)]:
        async with road.gateway.http.get(aiohttp.client.URL(road.gateway.url + path, encoded=True)) as response:
            assert response.status == status


async def test_git_sends_its_token_as_a_password(road: Road) -> None:
    basic = {"Authorization": f"Basic {b64encode(b'anyone:hf_sandbox_alice').decode()}"}
    response, raw = await road.ask("GET", "/api/whoami-v2", headers=basic)
    assert response.status == 200
    assert b'"alice"' in raw


async def test_a_revoked_key_takes_its_tickets_along_and_no_others(road: Road, tmp_path: Path) -> None:
    await upload(road)
    secret = await make_key(tmp_path, "short")

    async def ticket(headers: dict[str, str]) -> str:
        status, told = await road.batch("download", headers)
        assert status == 200
        return str(told["objects"][0]["actions"]["download"]["href"])

    async def status_of(url: str) -> int:
        async with road.gateway.http.get(url) as response:
            await response.read()
            return response.status

    of_the_key, of_alice = await ticket({"Authorization": f"Bearer {secret}"}), await ticket(ALICE)
    assert await status_of(of_the_key) == await status_of(of_alice) == 200
    async with keys_of(tmp_path) as keys:
        await keys.revoke("short")
    await eventually(lambda: status_of(of_the_key), lambda status: status != 200)
    async with road.gateway.http.get(of_the_key) as response:
        assert (response.status, (await response.json(content_type=None))["code"]) == (403, "CallerNotAllowed")
    assert await status_of(of_alice) == 200
