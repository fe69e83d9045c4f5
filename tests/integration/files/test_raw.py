"""`raw` is answered from what is kept: a file as git has it, to whom the file itself may be told."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import Sandbox, running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.support.gateway import Gateway, gateway_for
from tests.support.xet import add

ALICE, BOB = "hf_sandbox_alice", "hf_sandbox_bob"
FILES = {"config.json": b'{"a": 1}', "a b/\u00fc %.md": b"odd", "empty": b""}
LARGE = b"L" * 300_000
PATHS = ["config.json", "a%20b/%C3%BC%20%25.md", "large.bin", "empty"]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox(SandboxConfig()) as sandbox:
        for name, visibility in (("open", "public"), ("secret", "private")):
            ref = RepoRef.parse(RepoType.MODEL, f"alice/{name}")
            repo = sandbox.hub.create_repo(ref, by="alice", files=FILES, visibility=visibility)
            add(sandbox, repo, {"large.bin": LARGE})
        yield sandbox


async def raw(
    http: aiohttp.ClientSession, base: str, repo: str, path: str, method: str = "GET", token: str | None = None
) -> tuple[int, bytes, dict[str, str | None]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.request(method, f"{base}/{repo}/raw/main/{path}", headers=headers) as answer:
        told = ("Content-Type", "Content-Length", "X-Repo-Commit", "Content-Security-Policy", "X-Linked-ETag")
        return answer.status, await answer.read(), {name: answer.headers.get(name) for name in told}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_it_says_what_the_hub_says(sandbox: Sandbox, tmp_path: Path, method: str) -> None:
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="") as gateway:
        for path in [*PATHS, "missing"]:
            ours = await raw(gateway.http, gateway.url, "alice/open", path, method)
            theirs = await raw(gateway.http, sandbox.url, "alice/open", path, method)
            assert ours[0] == theirs[0]
            assert ours[1] == theirs[1] or path == "missing"
            assert ours[2]["X-Repo-Commit"] == theirs[2]["X-Repo-Commit"]
            if path != "missing":
                assert ours[2] == theirs[2] | ({"Content-Length": "0"} if path == "empty" else {})


async def test_it_is_kept_for_whom_the_file_is(sandbox: Sandbox, tmp_path: Path) -> None:
    open_ones = [("alice/open", path, token) for path in PATHS for token in (None, BOB, ALICE)]
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="") as gateway:
        said = {case: await raw(gateway.http, gateway.url, case[0], case[1], token=case[2]) for case in open_ones}
        assert {status for status, _, _ in said.values()} == {200}
        assert (await raw(gateway.http, gateway.url, "alice/secret", "config.json", token=ALICE))[0] == 200
        await refuses_strangers(gateway)
    # Only reserved names lead nowhere for sure (RFC 6761).
    async with gateway_for("http://hub.invalid", tmp_path, UPSTREAM__TOKEN="", FILES__OFFLINE="true") as gateway:
        for case, before in said.items():
            assert await raw(gateway.http, gateway.url, case[0], case[1], token=case[2]) == before
        await refuses_strangers(gateway)
        assert (await raw(gateway.http, gateway.url, "alice/open", "never-asked"))[0] == 504


async def refuses_strangers(gateway: Gateway) -> None:
    for path in PATHS:
        for token in (None, BOB):
            for method in ("GET", "HEAD"):
                status, body, told = await raw(gateway.http, gateway.url, "alice/secret", path, method, token)
                assert status >= 400
                assert FILES["config.json"] not in body and b"sha256:" not in body
                assert told["X-Repo-Commit"] is None


async def test_a_large_files_bytes_are_not_fetched_for_its_pointer(sandbox: Sandbox, tmp_path: Path) -> None:
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="") as gateway:
        _, pointer, _ = await raw(gateway.http, gateway.url, "alice/open", "large.bin")
        digest = hashlib.sha256(LARGE).hexdigest()
        assert pointer == f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 300000\n".encode()
        assert {asked.method for asked in sandbox.asked} == {"HEAD"}
