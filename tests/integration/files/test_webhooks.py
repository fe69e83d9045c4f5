"""The sandbox's webhooks reach the gateway, which forgets at once what was written behind its back."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.support.gateway import Gateway, gateway_for
from tests.support.waiting import eventually

ALICE = {"Authorization": "Bearer hf_sandbox_alice"}
SECRET = "a long secret of the tests"
PATH = "/-/webhooks/hub"
# Nothing but a notice makes the gateway ask again.
LONG = {
    "FILES__FRESH_FOR": "1h",
    "FILES__RIGHTS_FOR": "1h",
    "UPSTREAM__WEBHOOK_SECRET": SECRET,
    "ACCESS__FAILED_ATTEMPTS": "20",
}


@dataclass
class Watched:
    """A gateway that the sandbox tells of everything that alice owns."""

    sandbox: Sandbox
    gateway: Gateway

    async def at_the_hub(self, method: str, path: str, body: Any = None, data: str | None = None) -> Any:
        url = self.sandbox.url + path
        async with self.gateway.http.request(method, url, json=body, data=data, headers=ALICE) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json() if answer.content_type == "application/json" else None

    async def commit(self, content: str) -> None:
        lines = (
            '{"key":"header","value":{"summary":"s"}}\n'
            f'{{"key":"file","value":{{"path":"a.txt","content":"{content}"}}}}\n'
        )
        await self.at_the_hub("POST", "/api/models/alice/demo/commit/main", data=lines)

    async def read(self, name: str = "alice/demo") -> tuple[int, str]:
        async with self.gateway.http.get(f"{self.gateway.url}/{name}/resolve/main/a.txt") as answer:
            return answer.status, await answer.text()

    async def sha(self) -> str:
        async with self.gateway.http.get(f"{self.gateway.url}/api/models/alice/demo") as answer:
            return str((await answer.json())["sha"])

    async def notify(self, body: Any, secret: str | None = SECRET) -> tuple[int, Any]:
        headers = {"X-Webhook-Secret": secret} if secret is not None else {}
        async with self.gateway.http.post(self.gateway.url + PATH, json=body, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    async with (
        running_sandbox(SandboxConfig()) as sandbox,
        gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice", **LONG) as gateway,
    ):
        watched = Watched(sandbox, gateway)
        await watched.at_the_hub("POST", "/api/repos/create", {"name": "demo"})
        await watched.commit("first")
        yield watched


async def watch(watched: Watched, secret: str = SECRET) -> None:
    hook = {"url": watched.gateway.url + PATH, "secret": secret, "watched": [{"type": "user", "name": "alice"}]}
    await watched.at_the_hub("POST", "/api/settings/webhooks", hook)


async def test_a_commit_at_the_hub_is_seen_at_once(watched: Watched) -> None:
    assert await watched.read() == (200, "first")
    before = await watched.sha()
    await watched.commit("nobody tells")
    assert (await watched.read(), await watched.sha()) == ((200, "first"), before)
    await watch(watched)
    await watched.commit("second")
    await eventually(watched.read, lambda read: read == (200, "second"))
    await eventually(watched.sha, lambda sha: sha != before)


async def test_a_move_and_a_deletion_are_seen_at_once(watched: Watched) -> None:
    await watch(watched)
    assert await watched.read() == (200, "first")
    assert (await watched.read("alice/other"))[0] == 404
    await watched.at_the_hub(
        "POST", "/api/repos/move", {"fromRepo": "alice/demo", "toRepo": "alice/other", "type": "model"}
    )
    await eventually(lambda: watched.read("alice/other"), lambda read: read == (200, "first"))
    await watched.at_the_hub("DELETE", "/api/repos/delete", {"name": "other"})
    await eventually(lambda: watched.read("alice/other"), lambda read: read[0] == 404)


async def test_who_does_not_know_the_secret_is_refused_and_slowed_down(watched: Watched) -> None:
    body = {"event": {"action": "update", "scope": "repo.content"}, "repo": {"type": "model", "name": "alice/demo"}}
    assert (await watched.notify(body, None))[0] == 403
    assert (await watched.notify(body, "ä wrong one"))[0] == 403
    statuses = [(await watched.notify(body, f"guess {number}"))[0] for number in range(25)]
    assert set(statuses) == {403, 429}
    assert await watched.notify(body) == (200, {"repositories": ["alice/demo"]})
    assert await watched.notify(body) == (200, {"repositories": ["alice/demo"]})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"event": {"action": "create", "scope": "discussion.comment"}, "repo": {"type": "model", "name": "a/b"}},
        {"event": {"action": "update", "scope": "weather"}, "more": [1]},
        {"event": {"action": "update", "scope": "repo"}, "repo": {"type": "planet", "name": "a/b"}},
        {"event": {"action": "update", "scope": "repo"}, "repo": {"type": "model", "name": "../../etc"}},
    ],
)
async def test_what_changes_nothing_that_is_kept_is_taken_and_passed_over(watched: Watched, body: Any) -> None:
    assert await watched.notify(body) == (200, {"repositories": []})


async def test_what_is_too_large_or_no_notice_is_refused(watched: Watched) -> None:
    large, headers = io.BytesIO(b"{" + b" " * 2_000_000 + b"}"), {"X-Webhook-Secret": SECRET}
    async with watched.gateway.http.post(watched.gateway.url + PATH, data=large, headers=headers) as answer:
        assert answer.status == 413
    assert (await watched.notify([1]))[0] == 422
    assert (await watched.notify({"event": 5}))[0] == 422


async def test_without_a_secret_there_is_no_such_address(tmp_path: Path) -> None:
    async with gateway_for("http://127.0.0.1:9", tmp_path) as gateway:
        for headers in ({}, {"X-Webhook-Secret": ""}):
            async with gateway.http.post(gateway.url + PATH, json={}, headers=headers) as answer:
                assert answer.status == 404


async def test_a_gateway_with_keys_takes_notices_without_one(tmp_path: Path) -> None:
    variables = {"ACCESS__ANONYMOUS": "none", "UPSTREAM__WEBHOOK_SECRET": SECRET}
    async with gateway_for("http://127.0.0.1:9", tmp_path, **variables) as gateway:
        sent = {"json": {}, "headers": {"X-Webhook-Secret": SECRET}}
        async with gateway.http.post(gateway.url + PATH, **sent) as answer:
            assert answer.status == 200
