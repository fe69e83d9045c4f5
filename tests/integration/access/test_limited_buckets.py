"""A key that is limited names buckets as it names repositories, and no other is read, changed or copied from."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import Sandbox, running_sandbox
from tests.integration.access.test_callers import make_key
from tests.support.gateway import Gateway, gateway_for

TOKEN = "hf_sandbox_alice"
ABSENT = "0" * 64


@dataclass(frozen=True)
class Pools:
    """A gateway with a key for two buckets and a model, and one for models alone."""

    gateway: Gateway
    sandbox: Sandbox
    key: str
    models: str

    async def ask(self, method: str, path: str, *, key: str | None = None, **options: Any) -> tuple[int, Any]:
        """As the holder of the key; `key=""` is past the gateway, as alice."""
        at = self.gateway.url if key != "" else self.sandbox.url
        headers = {"Authorization": f"Bearer {(self.key if key is None else key) or TOKEN}"}
        async with self.gateway.http.request(
            method, at + path, headers=headers, allow_redirects=False, **options
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith(("{", "[")) else text

    async def refused(self, method: str, path: str, **options: Any) -> bool:
        """Whether the gateway said no, and the Hub heard nothing but who is asking, and of which name."""
        self.sandbox.asked.clear()
        status, problem = await self.ask(method, path, **options)
        told = [each for each in self.sandbox.asked if each.method not in {"GET", "HEAD"}]
        return (status, problem["code"], told) == (403, "CallerNotAllowed", [])


@pytest.fixture
async def pools(tmp_path: Path) -> AsyncIterator[Pools]:
    key = await make_key(tmp_path, "pool", repos=["buckets/acme/pool", "models/acme/open", "buckets/alice/mine"])
    models = await make_key(tmp_path, "models", repos=["models/acme/*"])
    async with (
        running_sandbox(SandboxConfig()) as sandbox,
        gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN=TOKEN) as gateway,
    ):
        running = Pools(gateway, sandbox, key, models)
        for name in ("acme/pool", "acme/other", "alice/mine", "alice/hers"):
            status, _ = await running.ask("POST", f"/api/buckets/{name}", key="", json={})
            assert status == 200
        yield running


def copied(source: str, kind: str = "bucket") -> str:
    line = {"type": "copyFile", "path": "a", "xetHash": ABSENT, "sourceRepoType": kind, "sourceRepoId": source}
    return json.dumps({"type": "deleteFile", "path": "b"}) + "\n" + json.dumps(line) + "\n"


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/api/buckets/{}", {}),
        ("GET", "/api/buckets/{}/tree", {}),
        ("POST", "/api/buckets/{}/paths-info", {"json": {"paths": ["a"]}}),
        ("GET", "/api/buckets/{}/xet-read-token", {}),
        ("GET", "/api/buckets/{}/xet-write-token", {}),
        ("POST", "/api/buckets/{}/batch", {"data": b'{"type":"deleteFile","path":"a"}'}),
        ("PUT", "/api/buckets/{}/settings", {"json": {"private": True}}),
        ("DELETE", "/api/buckets/{}", {}),
    ],
)
async def test_it_does_with_its_own_what_it_may_not_with_others(
    pools: Pools, method: str, path: str, options: dict[str, Any]
) -> None:
    for other in ("acme/other", "alice/hers", "me/hers", "ME/hers"):
        assert await pools.refused(method, path.format(other), **options), other
    assert await pools.refused(method, path.format("acme/pool"), key=pools.models, **options)
    for own in ("me/mine", "ACME/Pool"):
        status, answer = await pools.ask(method, path.format(own), **options)
        assert status == 200, answer


async def test_files_of_others_are_not_read(pools: Pools) -> None:
    for method in ("GET", "HEAD"):
        status, _ = await pools.ask(method, "/buckets/acme/other/resolve/a")
        assert status == 403
        status, _ = await pools.ask(method, "/buckets/acme/pool/resolve/a")
        assert status == 404


async def test_it_copies_from_what_it_may_read_and_from_nowhere_else(pools: Pools) -> None:
    batch = "/api/buckets/acme/pool/batch"
    for body in (
        copied("acme/other"),
        copied("me/hers"),
        copied("acme/closed", "model"),
        copied("acme/open", "dataset"),
        copied("acme/open", "nonsense"),
        '{"type":"linkFile","path":"a","source":"acme/other"}',
        "no JSON",
    ):
        assert await pools.refused("POST", batch, data=body), body
    for body in (copied("acme/pool"), copied("acme/open", "model"), copied("me/mine")):
        status, answer = await pools.ask("POST", batch, data=body)
        # The Hub looked for it: that line failed, since no such content is there.
        assert (status, answer["succeeded"], len(answer["failed"])) == (200, 1, 1), answer


async def test_it_moves_a_bucket_to_a_name_that_it_may_use_and_an_old_name_leads_nowhere_else(pools: Pools) -> None:
    names = {"fromRepo": "acme/pool", "toRepo": "alice/hers2", "type": "bucket"}
    assert await pools.refused("POST", "/api/repos/move", json=names)
    assert await pools.refused("POST", "/api/repos/move", json={**names, "fromRepo": "acme/other"})
    status, _ = await pools.ask("POST", "/api/repos/move", key="", json=names)
    assert status == 200
    for method, path, options in [
        ("GET", "/api/buckets/acme/pool", {}),
        ("GET", "/api/buckets/acme/pool/xet-read-token", {}),
        ("POST", "/api/buckets/acme/pool/batch", {"data": b'{"type":"deleteFile","path":"a"}'}),
        ("DELETE", "/api/buckets/acme/pool", {}),
    ]:
        assert await pools.refused(method, path, **options), path


async def test_others_are_not_listed(pools: Pools) -> None:
    for path in ("/api/buckets/acme", "/api/buckets/me", "/buckets/acme/pool", "/api/buckets"):
        assert await pools.refused("GET", path), path
