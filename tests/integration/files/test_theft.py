"""What is kept is stolen by nobody: every road, by those who never had a right to it and by those who lost theirs."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hfproxy.sandbox.accounts import Account, Token
from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.repository import Repository
from hfproxy.sandbox.server import Sandbox, running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.support.gateway import Gateway, gateway_for

ALICE, BOB, MADE_UP = "hf_sandbox_alice", "hf_sandbox_bob", "hf_made_up_by_the_tests"
SECRET = b"the secret"
LARGE = SECRET + bytes(1024**2)
FILES = {"the-secret.json": SECRET, "large.bin": LARGE}
# Each question is asked of the Hub, so that what it says now decides, and what is kept is only bytes.
ASKED_ANEW = {"FILES__FRESH_FOR": "0s", "FILES__RIGHTS_FOR": "0s", "UPSTREAM__TOKEN": ""}


class House:
    """A sandbox with a repository of alice's, and a gateway without a token of its own that keeps it."""

    def __init__(self, sandbox: Sandbox, gateway: Gateway, repo: Repository, stop: AsyncExitStack) -> None:
        self.sandbox, self.gateway, self.repo = sandbox, gateway, repo
        self.commit = ""
        self.hub_goes_away = stop.aclose

    def roads(self) -> list[tuple[str, str, object]]:
        """All ways to read of it: method, path, body."""
        oid, name, api = hashlib.sha256(LARGE).hexdigest(), "alice/demo", "api/models/alice/demo"
        batch = {"operation": "download", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(LARGE)}]}
        files = [f"{name}/resolve/{at}/{path}" for at in ("main", self.commit) for path in FILES]
        told = [api, f"{api}/revision/main", f"{api}/revision/{self.commit}", f"{api}/tree/main?recursive=true"]
        return [
            *(("GET", path, None) for path in [*files, *told, f"{name}/raw/main/the-secret.json"]),
            ("HEAD", files[1], None),
            ("POST", f"{api}/paths-info/main", {"paths": ["large.bin"], "expand": False}),
            ("POST", f"{name}.git/info/lfs/objects/batch", batch),
        ]

    async def got(self, token: str | None, *, only: str = "") -> list[str]:
        """The roads that gave something away. only: part of their path."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        leaks = []
        for method, path, body in self.roads():
            if only not in path:
                continue
            async with self.gateway.http.request(
                method, f"{self.gateway.url}/{path}", json=body, headers=headers
            ) as answer:
                said = await answer.read()
                names_files = "/api/" in answer.url.path and b"the-secret" in said  # a problem names what was asked for
                if answer.status < 300 or SECRET in said or names_files or b'"href"' in said:
                    leaks.append(f"{answer.status} {method} {path}")
        return leaks


@pytest.fixture
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack, AsyncExitStack() as hub:
        sandbox = await hub.enter_async_context(running_sandbox(SandboxConfig()))
        ref = RepoRef.parse(RepoType.MODEL, "alice/demo")
        repo = sandbox.hub.create_repo(ref, by="alice", files=FILES, visibility=request.param)
        gateway = await stack.enter_async_context(gateway_for(sandbox.url, tmp_path, **ASKED_ANEW))
        house = House(sandbox, gateway, repo, hub)
        async with gateway.http.head(
            f"{gateway.url}/alice/demo/resolve/main/large.bin", headers={"Authorization": f"Bearer {ALICE}"}
        ) as answer:
            house.commit = answer.headers["X-Repo-Commit"]
        yield house


@pytest.mark.parametrize("house", ["private"], indirect=True)
async def test_strangers_get_nothing_nor_does_a_token_that_ended(house: House) -> None:
    everything = len(house.roads())
    assert len(await house.got(ALICE)) == everything
    for token in (None, BOB, MADE_UP):
        assert await house.got(token) == []
    assert len(await house.got(ALICE)) == everything
    house.sandbox.hub.accounts.add(Account(name="alice", tokens=(Token(secret=ALICE, expired=True),)))
    assert await house.got(ALICE) == []
    await house.hub_goes_away()
    for token in (None, BOB, MADE_UP, ALICE):
        assert await house.got(token) == []


@pytest.mark.parametrize("house", ["public"], indirect=True)
@pytest.mark.parametrize("looked_at", ["", "resolve/main/large.bin", "revision/main"])
async def test_what_was_public_is_nobodys_when_the_hub_refused_it_once(house: House, looked_at: str) -> None:
    """Also on roads that nobody asked the Hub about before it went away."""
    for token in (None, BOB):
        assert len(await house.got(token)) == len(house.roads())
    house.repo.record.visibility = "private"
    assert await house.got(None, only=looked_at) == []
    await house.hub_goes_away()
    for token in (None, BOB):
        assert await house.got(token) == []


@pytest.mark.parametrize("house", ["public"], indirect=True)
@pytest.mark.parametrize("change", ["deleted", "moved", "gated"])
async def test_what_became_of_a_repository_is_heeded(house: House, change: str) -> None:
    for token in (None, BOB):
        assert len(await house.got(token)) == len(house.roads())
    only = ""
    if change == "deleted":
        house.sandbox.hub.delete_repo(house.repo)
    elif change == "moved":
        house.sandbox.hub.move_repo(house.repo, "alice", "elsewhere")
        house.repo.record.visibility = "private"
    else:
        house.repo.record.gated, only = "manual", "/demo/"  # what it is called and holds stays public
    for token in (None, BOB):
        assert [road for road in await house.got(token, only=only) if "api/" not in road] == []


@pytest.mark.parametrize("house", ["public"], indirect=True)
async def test_a_new_repository_in_an_old_ones_place_is_another(house: House) -> None:
    assert len(await house.got(None)) == len(house.roads())
    house.sandbox.hub.delete_repo(house.repo)
    new = {"the-secret.json": b"new", "large.bin": b"new" + bytes(1024**2)}
    house.sandbox.hub.create_repo(house.repo.ref, by="bob", files=new)
    for path, content in new.items():
        url = f"{house.gateway.url}/alice/demo/resolve"
        async with house.gateway.http.get(f"{url}/main/{path}") as answer:
            assert (answer.status, await answer.read()) == (200, content)
        async with house.gateway.http.get(f"{url}/{house.commit}/{path}") as answer:
            assert (answer.status, SECRET in await answer.read()) == (404, False)
