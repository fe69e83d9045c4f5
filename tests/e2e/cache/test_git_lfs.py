"""git-lfs gets its objects from what is kept, and what it fetches is kept: each byte comes from the Hub once."""

import hashlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import Sandbox, running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.support.clients import Client
from tests.support.gateway import Gateway, gateway_for
from tests.support.git import Git, git_at, needs_git_lfs, with_token

pytestmark = needs_git_lfs
ALICE, BOB = "hf_sandbox_alice", "hf_sandbox_bob"
WEIGHTS = os.urandom(5_000_000)
SMALL = os.urandom(1_000)
DOWNLOAD = "from huggingface_hub import hf_hub_download; print(hf_hub_download('alice/demo', 'weights.bin'))"
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass
class Place:
    """A private repository of alice's with two LFS objects, and a gateway before it that has no token of its own."""

    sandbox: Sandbox
    gateway: Gateway
    git: Git

    async def clone(self, name: str, token: str = ALICE) -> Path:
        await self.git.ok("clone", with_token(self.gateway.url + "/alice/demo", token), name)
        return self.git.home / name

    def from_the_hub(self) -> int:
        """Bytes of large files that were asked of the Hub."""
        total = 0
        for asked in self.sandbox.asked:
            if asked.origin == "cdn" and asked.method == "GET":
                ranged = _RANGE.fullmatch(asked.headers.get("Range", ""))
                whole = len(WEIGHTS) if hashlib.sha256(WEIGHTS).hexdigest() in asked.raw_path else len(SMALL)
                total += int(ranged[2]) + 1 - int(ranged[1]) if ranged else whole
        return total


async def push(git: Git, remote: str) -> None:
    """Fills an empty repository as somebody far from the gateway would."""
    await git.ok("clone", remote, "demo")
    for name, content in (("weights.bin", WEIGHTS), ("small.bin", SMALL)):
        (git.home / "demo" / name).write_bytes(content)
    for command in (("add", "."), ("commit", "-m", "Add weights"), ("push",)):
        await git.ok(*command, folder=git.home / "demo")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    git = await git_at(tmp_path / "home")
    async with running_sandbox(SandboxConfig()) as sandbox:
        ref = RepoRef.parse(RepoType.MODEL, "alice/demo")
        sandbox.hub.create_repo(ref, by="alice", visibility="private")
        await push(await git_at(tmp_path / "alice"), with_token(sandbox.url + "/alice/demo", ALICE))
        async with gateway_for(sandbox.url, tmp_path / "data", UPSTREAM__TOKEN="") as gateway:
            yield Place(sandbox, gateway, git)


async def test_of_two_clones_the_second_costs_the_hub_no_bytes(place: Place) -> None:
    for name in ("one", "two"):
        clone = await place.clone(name)
        assert ((clone / "weights.bin").read_bytes(), (clone / "small.bin").read_bytes()) == (WEIGHTS, SMALL)
        assert place.from_the_hub() == len(WEIGHTS) + len(SMALL)


@pytest.mark.parametrize("git_first", [True, False])
async def test_git_and_the_python_client_share_what_is_kept(
    place: Place, newest_client: Client, tmp_path: Path, git_first: bool
) -> None:
    async def by_git() -> None:
        assert ((await place.clone("clone")) / "weights.bin").read_bytes() == WEIGHTS

    async def by_python() -> None:
        env = {"HF_ENDPOINT": place.gateway.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": ALICE}
        done = await newest_client.run(newest_client.python, "-c", DOWNLOAD, env=env | {"HF_HUB_DISABLE_XET": "1"})
        assert done.code == 0, done
        assert Path(done.out.strip()).read_bytes() == WEIGHTS

    for fetch in (by_git, by_python) if git_first else (by_python, by_git):
        await fetch()
    assert place.from_the_hub() == len(WEIGHTS) + len(SMALL)


async def test_what_is_kept_is_nobodys_without_the_hubs_yes(place: Place) -> None:
    await place.clone("one")
    refused = await place.git("clone", with_token(place.gateway.url + "/alice/demo", BOB), "stolen")
    assert refused.code != 0
    oid = hashlib.sha256(WEIGHTS).hexdigest()
    question = {"operation": "download", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(WEIGHTS)}]}
    # A repository of the thief's own that does not have the object opens nothing either.
    place.sandbox.hub.create_repo(RepoRef.parse(RepoType.MODEL, "bob/own"), by="bob")
    for path in ("/alice/demo", "/bob/own"):
        url = f"{place.gateway.url}{path}.git/info/lfs/objects/batch"
        headers = {"Authorization": f"Bearer {BOB}"}
        async with place.gateway.http.post(url, json=question, headers=headers) as answer:
            told = await answer.json(content_type=None) if answer.status == 200 else {"objects": [{}]}
        assert "actions" not in told["objects"][0]


async def test_a_ticket_gives_ranges_and_says_what_it_has(place: Place) -> None:
    await place.clone("one")
    oid = hashlib.sha256(WEIGHTS).hexdigest()
    question = {"operation": "download", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(WEIGHTS)}]}
    url = f"{place.gateway.url}/alice/demo.git/info/lfs/objects/batch"
    http, headers = place.gateway.http, {"Authorization": f"Bearer {ALICE}"}
    async with http.post(url, json=question, headers=headers) as answer:
        [told] = (await answer.json(content_type=None))["objects"]
    href = told["actions"]["download"]["href"]
    async with http.get(href, headers={"Range": "bytes=4000000-"}) as answer:
        assert (answer.status, await answer.read()) == (206, WEIGHTS[4_000_000:])
        assert answer.headers["Cache-Status"] == "hfproxy; hit"
    async with http.head(href) as answer:
        assert (answer.status, answer.content_length) == (200, len(WEIGHTS))
    async with http.put(href, data=b"x") as answer:
        assert answer.status == 405
