"""A key that is limited to some repositories writes nowhere else, by whatever name."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hfproxy.downstream.access import Role
from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import Sandbox, running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.integration.access.test_callers import make_key
from tests.support.gateway import Gateway, gateway_for


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox(SandboxConfig()) as running:
        yield running


class Limited:
    """A gateway with a key for `acme/*` and the datasets of alice, and one for everything."""

    def __init__(self, gateway: Gateway, key: str, free: str) -> None:
        self.gateway, self.key, self.free = gateway, key, free

    async def call(self, method: str, body: object, *, key: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        url = f"{self.gateway.url}/api/repo"
        async with self.gateway.http.request(method, url, json=body, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def refused(self, method: str, body: object) -> bool:
        status, problem = await self.call(method, body)
        return (status, problem["code"]) == (403, "CallerNotAllowed")


@pytest.fixture
async def limited(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Limited]:
    key = await make_key(tmp_path, "limited", repos=["acme/*", "datasets/alice/*"])
    free = await make_key(tmp_path, "free")
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice") as gateway:
        yield Limited(gateway, key, free)


async def exists(sandbox: Sandbox, repo_id: str, kind: str = "models") -> bool:
    headers = {"Authorization": "Bearer hf_sandbox_alice"}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(f"{sandbox.url}/api/{kind}/{repo_id}") as found:
        return found.status == 200


async def test_what_it_is_for_it_may_do_in_any_spelling(limited: Limited, sandbox: Sandbox) -> None:
    for body in ({"type": "model", "name": "acme/a"}, {"type": "model", "name": "b", "organization": "ACME"}):
        status, answer = await limited.call("POST", body)
        assert status == 200, answer
    status, _ = await limited.call("PUT", {"type": "model", "namespace": "ACME/A", "private": True, "move": "acme/c"})
    assert status == 200
    status, _ = await limited.call("DELETE", {"type": "model", "name": "Acme/C"})
    assert status == 200
    assert not await exists(sandbox, "acme/c")


async def test_a_name_without_an_owner_is_the_tokens_own_accounts(limited: Limited, sandbox: Sandbox) -> None:
    assert await limited.refused("POST", {"type": "model", "name": "demo"})
    assert not await exists(sandbox, "alice/demo")
    status, answer = await limited.call("POST", {"type": "dataset", "name": "demo"})
    assert (status, answer["id"]) == (200, "alice/demo")


async def test_what_it_is_not_for_it_may_not_touch(limited: Limited, sandbox: Sandbox) -> None:
    await limited.call("POST", {"type": "model", "name": "alice/demo"}, key=limited.free)
    assert await limited.refused("POST", {"type": "model", "name": "alice/other"})
    assert await limited.refused("PUT", {"type": "model", "namespace": "alice/demo", "private": True})
    assert await limited.refused("DELETE", {"type": "model", "name": "alice/demo"})
    assert await limited.refused("DELETE", {"type": "model", "name": "demo"})
    assert await exists(sandbox, "alice/demo")


async def test_both_names_of_a_move_must_be_allowed(limited: Limited, sandbox: Sandbox) -> None:
    await limited.call("POST", {"type": "model", "name": "acme/a"}, key=limited.free)
    await limited.call("POST", {"type": "model", "name": "alice/b"}, key=limited.free)
    assert await limited.refused("PUT", {"type": "model", "namespace": "acme/a", "move": "alice/a"})
    assert await limited.refused("PUT", {"type": "model", "namespace": "acme/a", "private": True, "move": "alice/a"})
    assert await limited.refused("PUT", {"type": "model", "namespace": "alice/b", "move": "acme/b"})
    assert await exists(sandbox, "acme/a")
    assert await exists(sandbox, "alice/b")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"repository":"alice/copy"}', {}),
        (b'{"repository":"alice/copy","type":"bucket"}', {}),
        (b'{"repository":"alice/copy","type":"nonsense"}', {}),
        (b'{"repository":"alice/copy "}', {}),
        pytest.param(gzip.compress(b'{"repository":"alice/copy"}'), {"Content-Encoding": "gzip"}, id="gzip"),
        (b'{"repository":"acme/copy"}', {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
)
async def test_a_copy_goes_only_where_its_body_says_readably(
    limited: Limited, sandbox: Sandbox, body: bytes, headers: dict[str, str]
) -> None:
    await limited.call("POST", {"type": "model", "name": "acme/a"}, key=limited.free)
    sandbox.asked.clear()
    sent = {"Authorization": f"Bearer {limited.key}", "Content-Type": "application/json", **headers}
    url = f"{limited.gateway.url}/api/models/acme/a/duplicate"
    async with limited.gateway.http.post(url, data=body, headers=sent) as response:
        assert response.status in {400, 403, 415}
    assert [asked.raw_path for asked in sandbox.asked if asked.method == "POST"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/spaces/acme/s/volumes", {}),
        ("POST", "/api/repos/create", {"type": "space", "name": "acme/t", "sdk": "static"}),
        ("POST", "/api/spaces/acme/s/duplicate", {"repository": "acme/t"}),
    ],
)
async def test_a_space_mounts_nothing_for_it(
    limited: Limited, sandbox: Sandbox, method: str, path: str, body: dict[str, str]
) -> None:
    volumes = [{"type": "model", "source": "alice/demo", "mountPath": "/demo"}]
    headers, url = {"Authorization": f"Bearer {limited.key}"}, f"{limited.gateway.url}{path}"
    sandbox.asked.clear()
    async with limited.gateway.http.request(method, url, json=body | {"volumes": volumes}, headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (403, "CallerNotAllowed")
    assert [asked.raw_path for asked in sandbox.asked if asked.method == method] == []


async def test_an_old_name_does_not_lead_to_a_repository_elsewhere(limited: Limited, sandbox: Sandbox) -> None:
    await limited.call("POST", {"type": "model", "name": "acme/old"}, key=limited.free)
    await limited.call("PUT", {"type": "model", "namespace": "acme/old", "move": "alice/new"}, key=limited.free)
    assert await limited.refused("PUT", {"type": "model", "namespace": "acme/old", "private": True})
    assert await limited.refused("DELETE", {"type": "model", "name": "acme/old"})
    assert await exists(sandbox, "alice/new")


async def test_it_reads_what_is_kept_while_the_hub_is_away_and_offline(tmp_path: Path) -> None:
    key = await make_key(tmp_path, "limited", repos=["acme/*"])
    free = await make_key(tmp_path, "free")
    async with running_sandbox(SandboxConfig()) as sandbox:
        for name in ("acme/stays", "acme/went", "acme/free"):
            ref = RepoRef.parse(RepoType.MODEL, name)
            sandbox.hub.create_repo(ref, by="alice", files={"a.json": b"{}"}, visibility="private")
        upstream = sandbox.url
        async with gateway_for(upstream, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice") as gateway:
            assert await read(gateway, "acme/stays", key) == 200
            for name in ("acme/went", "acme/free"):
                assert await read(gateway, name, free) == 200
            await move(upstream, "acme/went", "alice/went")
            assert await read(gateway, "acme/went", key) == 403
    for offline in ("false", "true"):
        settings = {"UPSTREAM__TOKEN": "hf_sandbox_alice", "FILES__OFFLINE": offline}
        async with gateway_for(upstream, tmp_path, **settings) as gateway:
            assert await read(gateway, "acme/stays", key) == 200
            assert await read(gateway, "acme/went", key) == 403  # where it leads now is known
            assert await read(gateway, "acme/went", free) == 200
            # Nobody ever asked where this one leads, and a name alone is no right.
            assert await read(gateway, "acme/free", key) in {502, 504}
            assert await read(gateway, "acme/free", free) == 200


async def read(gateway: Gateway, repo: str, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    async with gateway.http.get(f"{gateway.url}/{repo}/resolve/main/a.json", headers=headers) as answer:
        return answer.status


async def move(hub: str, old: str, new: str) -> None:
    headers = {"Authorization": "Bearer hf_sandbox_alice"}
    names = {"fromRepo": old, "toRepo": new, "type": "model"}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(f"{hub}/api/repos/move", json=names) as moved:
        assert moved.status == 200, await moved.text()


async def test_a_refusal_is_in_the_trail(limited: Limited, tmp_path: Path) -> None:
    admin = await make_key(tmp_path, "boss", Role.ADMIN)
    await limited.refused("DELETE", {"type": "model", "name": "alice/demo"})
    headers = {"Authorization": f"Bearer {admin}"}
    async with limited.gateway.http.get(f"{limited.gateway.url}/-/audit", headers=headers) as response:
        [write] = (await response.json())["writes"]
    assert (write["caller"], write["outcome"], write["code"]) == ("limited", "refused", "CallerNotAllowed")
