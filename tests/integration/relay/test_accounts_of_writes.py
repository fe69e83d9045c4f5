"""Relayed writes are kept in the audit trail, told to whom it concerns, and bound to what a key is for."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.integration.access.test_callers import make_key
from tests.support.gateway import Gateway, gateway_for


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox(SandboxConfig()) as running:
        yield running


@pytest.fixture
async def keys(tmp_path: Path) -> dict[str, str]:
    return {
        "limited": await make_key(tmp_path, "limited", repos=["acme/*"]),
        "free": await make_key(tmp_path, "free"),
    }


@pytest.fixture
async def gateway(sandbox: Sandbox, keys: dict[str, str], tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway_for(
        sandbox.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice", ACCESS__ANONYMOUS="admin"
    ) as running:
        yield running


async def ask(gateway: Gateway, method: str, path: str, key: str | None = None, **options: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with gateway.http.request(method, gateway.url + path, headers=headers, **options) as response:
        return response.status, await response.json(content_type=None) if response.content_type.endswith(
            "json"
        ) else None


async def trail(gateway: Gateway) -> list[tuple[str, str | None, str | None, str, int | None]]:
    _, page = await ask(gateway, "GET", "/-/audit")
    return [
        (write["action"], write["repo"], write["new_repo"], write["outcome"], write["status"])
        for write in reversed(page["writes"])
    ]


async def test_every_write_is_in_the_trail_and_no_read_is(gateway: Gateway, keys: dict[str, str]) -> None:
    free = keys["free"]
    demo = {"name": "demo", "organization": "acme"}
    commit = '{"key":"header","value":{"summary":"s"}}\n{"key":"file","value":{"path":"a","content":"b"}}\n'
    await ask(gateway, "POST", "/api/repos/create", free, json=demo)
    await ask(gateway, "POST", "/api/repos/create", free, json=demo)
    await ask(gateway, "POST", "/api/models/acme/demo/preupload/main", free, json={"files": []})
    await ask(gateway, "POST", "/api/models/acme/demo/commit/main", free, data=commit)
    await ask(gateway, "POST", "/api/models/acme/demo/paths-info/main", free, data={"paths": "a"})
    await ask(gateway, "POST", "/api/models/acme/demo/branch/dev", free, json={})
    move = {"fromRepo": "acme/demo", "toRepo": "acme/new", "type": "model"}
    await ask(gateway, "POST", "/api/repos/move", free, json=move)
    await ask(gateway, "DELETE", "/api/repos/delete", free, json={"name": "new", "organization": "acme"})
    assert await trail(gateway) == [
        ("repo.create", "acme/demo", None, "done", 200),
        ("repo.create", "acme/demo", None, "refused", 409),
        ("repo.commit", "acme/demo", None, "done", 200),
        ("hub.post", "acme/demo", None, "done", 200),
        ("repo.move", "acme/demo", "acme/new", "done", 200),
        ("repo.delete", "acme/new", None, "done", 200),
    ]


async def test_what_is_written_under_a_name_without_an_owner_is_forgotten_and_kept_with_it(
    gateway: Gateway, keys: dict[str, str]
) -> None:
    free = keys["free"]
    for status in (200, 404):
        if status == 200:
            await ask(gateway, "POST", "/api/repos/create", free, json={"name": "own", "organization": None})
        else:
            await ask(gateway, "DELETE", "/api/repos/delete", free, json={"name": "own", "organization": None})
        for path in ("/api/models/alice/own", "/alice/own/resolve/main/.gitattributes"):
            assert (await ask(gateway, "GET", path, free))[0] == status, path
    assert [(action, repo) for action, repo, *_ in await trail(gateway)] == [
        ("repo.create", "alice/own"),
        ("repo.delete", "alice/own"),
    ]


async def test_a_limited_key_reaches_nothing_else_by_any_road(gateway: Gateway, keys: dict[str, str]) -> None:
    free, limited = keys["free"], keys["limited"]
    for owner, name in [("alice", "secret"), ("acme", "ours"), ("acme", "gone")]:
        body = {"name": name, "organization": owner, "private": True}
        assert (await ask(gateway, "POST", "/api/repos/create", free, json=body))[0] == 200
    move = {"fromRepo": "acme/gone", "toRepo": "alice/gone", "type": "model"}
    assert (await ask(gateway, "POST", "/api/repos/move", free, json=move))[0] == 200
    for path in ("/api/models/acme/ours", "/acme/ours/resolve/main/.gitattributes", "/api/whoami-v2"):
        assert (await ask(gateway, "GET", path, limited))[0] == 200, path
    refused: list[tuple[str, str, Any]] = [
        ("GET", "/api/models/alice/secret", None),
        ("GET", "/alice/secret/resolve/main/.gitattributes", None),
        ("GET", "/alice/secret.git/info/refs?service=git-upload-pack", None),
        ("GET", "/api/models?author=alice", None),
        ("GET", "/api/models/acme/gone", None),
        ("GET", "/acme/gone/resolve/main/.gitattributes", None),
        ("HEAD", "/acme/gone/resolve/main/.gitattributes", None),
        ("DELETE", "/api/repos/delete", {"name": "gone", "organization": "acme"}),
        ("DELETE", "/api/repos/delete", {"name": "secret", "organization": "alice"}),
        ("POST", "/api/repos/create", {"name": "x"}),
        ("POST", "/api/repos/move", {"fromRepo": "acme/ours", "toRepo": "alice/x", "type": "model"}),
        ("POST", "/api/models/acme/ours/duplicate", {"repository": "alice/x"}),
    ]
    for method, path, body in refused:
        status, _ = await ask(gateway, method, path, limited, json=body)
        assert status == 403, (method, path, body)
