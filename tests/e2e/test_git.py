"""git and git-lfs take the sandbox for the Hub, and the gateway for the sandbox."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.support.gateway import gateway_for
from tests.support.git import Git, git_at, needs_git_lfs, with_token

pytestmark = needs_git_lfs
ALICE, READER, BOB = "hf_sandbox_alice", "hf_sandbox_alice_read", "hf_sandbox_bob"


@dataclass
class Remote:
    """A Hub as git sees it, directly or through the gateway, with the private model `alice/demo`."""

    url: str
    sandbox: Sandbox
    git: Git

    def at(self, path: str = "/alice/demo", token: str | None = ALICE) -> str:
        return with_token(self.url + path, token)

    async def clone(self, name: str, *options: str, token: str | None = ALICE) -> Path:
        await self.git.ok("clone", *options, self.at(token=token), name)
        return self.git.home / name

    async def post(self, path: str, body: object) -> None:
        headers = {"Authorization": f"Bearer {ALICE}"}
        async with aiohttp.ClientSession(headers=headers) as http, http.post(self.url + path, json=body) as response:
            assert response.status == 200, await response.text()

    async def add(self, clone: Path, **files: bytes) -> None:
        for name, content in files.items():
            (clone / name.replace("__", ".")).write_bytes(content)
        await self.git.ok("add", ".", folder=clone)
        await self.git.ok("commit", "-m", f"Add {', '.join(files)}", folder=clone)


@pytest.fixture(params=["direct", "gateway", "prefix"])
async def remote(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Remote]:
    git = await git_at(tmp_path / "home")
    async with running_sandbox(SandboxConfig()) as sandbox:
        if request.param == "direct":
            remote = Remote(sandbox.url, sandbox, git)
            await remote.post("/api/repos/create", {"name": "demo", "private": True})
            yield remote
            return
        variables = {"UPSTREAM__TOKEN": "", "SERVER__PATH_PREFIX": "/hub"}
        async with gateway_for(sandbox.url, tmp_path / "data", **variables) as gateway:
            remote = Remote(gateway.url + ("/hub" if request.param == "prefix" else ""), sandbox, git)
            await remote.post("/api/repos/create", {"name": "demo", "private": True})
            yield remote


async def test_what_is_pushed_is_cloned_large_files_too_and_nothing_goes_round(remote: Remote) -> None:
    weights = os.urandom(3_000_000)
    clone = await remote.clone("one")
    await remote.add(clone, weights__bin=weights, card__md=b"# A card\n")
    traced = await remote.git.ok("push", folder=clone, GIT_TRACE="1", GIT_CURL_VERBOSE="1")
    again = await remote.git.ok("clone", remote.at(), "two", GIT_TRACE="1", GIT_CURL_VERBOSE="1")
    assert (remote.git.home / "two" / "weights.bin").read_bytes() == weights
    assert (remote.git.home / "two" / "card.md").read_bytes() == b"# A card\n"
    at_store = [asked for asked in remote.sandbox.asked if asked.origin == "cdn"]
    assert [asked.method for asked in at_store] == ["PUT", "GET"]
    assert not any("Authorization" in asked.headers for asked in at_store)
    if remote.url.partition("/hub")[0] != remote.sandbox.url:
        for origin in (remote.sandbox.url, remote.sandbox.cdn_url):
            assert origin.partition("://")[2] not in traced.err + again.err


async def test_branches_tags_pull_requests_and_shallow_clones(remote: Remote) -> None:
    clone = await remote.clone("one")
    for number in range(3):
        await remote.add(clone, a__txt=str(number).encode())
    await remote.git.ok("tag", "-a", "v1", "-m", "first", folder=clone)
    await remote.git.ok("push", "origin", "HEAD:main", "HEAD:dev", "v1", folder=clone)
    shallow = await remote.clone("shallow", "--depth", "1", "--branch", "dev")
    assert (await remote.git.ok("log", "--oneline", folder=shallow)).out.count("\n") == 1
    await remote.git.ok("fetch", "--unshallow", folder=shallow)
    assert (await remote.git.ok("log", "--oneline", folder=shallow)).out.count("\n") == 4
    lines = '{"key":"header","value":{"summary":"s"}}\n{"key":"file","value":{"path":"pr.txt","content":"pr"}}\n'
    url = f"{remote.url}/api/models/alice/demo/commit/main?create_pr=1"
    headers = {"Authorization": f"Bearer {ALICE}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(url, data=lines) as response:
        assert response.status == 200
    await remote.git.ok("fetch", "origin", "refs/pr/1:pr1", folder=clone)
    assert (await remote.git.ok("show", "pr1:pr.txt", folder=clone)).out == "pr"
    await remote.git.ok("push", "origin", "--delete", "dev", folder=clone)
    assert (await remote.git.ok("ls-remote", "--heads", remote.at(), folder=clone)).out.count("\n") == 1


@pytest.mark.parametrize("path", ["/alice/demo", "/alice/demo.git"])
async def test_a_token_that_may_not_is_refused(remote: Remote, path: str) -> None:
    assert "not found" in (await remote.git("ls-remote", remote.at(path, BOB))).err
    assert "could not read Username" in (await remote.git("ls-remote", remote.at(path, None))).err
    assert "Authentication failed" in (await remote.git("ls-remote", remote.at(path, "hf_nobody"))).err
    await remote.git.ok("clone", remote.at(path, READER), "reader")
    clone = remote.git.home / "reader"
    await remote.add(clone, a__txt=b"a")
    assert "403" in (await remote.git("push", folder=clone)).err


async def test_the_hubs_hook_refuses_what_belongs_into_lfs(remote: Remote) -> None:
    clone = await remote.clone("one")
    await remote.add(clone, large__txt=bytes(11 * 1024 * 1024))
    assert "must be stored with git-lfs" in (await remote.git("push", folder=clone)).err
    await remote.git.ok("reset", "--hard", "HEAD~1", folder=clone)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"
    await remote.add(clone, pointer__txt=pointer.encode())
    assert "does not exist" in (await remote.git("push", folder=clone)).err


async def test_a_clone_that_wants_files_later_has_them(remote: Remote) -> None:
    clone = await remote.clone("one")
    for number in range(2):
        await remote.add(clone, a__txt=str(number).encode())
    await remote.git.ok("push", folder=clone)
    partial = await remote.clone("partial", "--filter=blob:none")
    assert (await remote.git.ok("show", "HEAD~1:a.txt", folder=partial)).out == "0"


async def test_a_renamed_repository_is_pushed_to_under_its_old_name(remote: Remote) -> None:
    clone = await remote.clone("one")
    await remote.post("/api/repos/move", {"fromRepo": "alice/demo", "toRepo": "alice/other", "type": "model"})
    await remote.add(clone, weights__bin=b"\0" * 2000, card__md=b"# A card\n")
    await remote.git.ok("push", folder=clone)
    await remote.git.ok("clone", remote.at("/alice/other"), "two")
    assert (remote.git.home / "two" / "weights.bin").read_bytes() == b"\0" * 2000
    assert (remote.git.home / "two" / "card.md").read_bytes() == b"# A card\n"
