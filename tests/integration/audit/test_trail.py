"""Every write is in the trail, with what came of it, whatever happens to the Hub, the caller or the gateway."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hfproxy.downstream.access import Role
from hfproxy.features.access.secrets import fingerprint
from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import Sandbox, running_sandbox
from hfproxy.storage.opening import FILE_NAME
from tests.integration.access.test_callers import make_key
from tests.support.command import environment
from tests.support.gateway import Gateway, gateway_for
from tests.support.scripted_hub import Asked, ScriptedHub, hangs, resets, says, scripted_hub
from tests.support.waiting import PATIENCE_S, eventually

# Also what whoami answers: the account is called alice/demo here.
MADE = says(200, b'{"name": "alice/demo", "url": "https://huggingface.co/alice/demo"}')
DEMO = {"type": "model", "name": "alice/demo", "private": True}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox(SandboxConfig()) as running:
        yield running


@pytest.fixture
async def hub() -> AsyncIterator[ScriptedHub]:
    async with scripted_hub(MADE) as running:
        yield running


async def call(gateway: Gateway, method: str, body: object, **headers: str) -> tuple[int, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with gateway.http.request(method, f"{gateway.url}/api/repo", json=body, headers=named) as response:
        return response.status, await response.json(content_type=None)


async def trail(gateway: Gateway, secret: str | None = None, **query: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    async with gateway.http.get(f"{gateway.url}/-/audit", params=query, headers=headers) as response:
        assert response.status == 200, await response.text()
        writes: list[dict[str, Any]] = (await response.json())["writes"]
        return writes


async def test_a_repositorys_life_is_told_step_by_step(sandbox: Sandbox, tmp_path: Path) -> None:
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice") as gateway:
        await call(gateway, "POST", {"type": "models", "name": "demo", "private": True, "gated": "auto"})
        await call(gateway, "PUT", {"type": "model", "namespace": "alice/demo", "private": False, "move": "acme/demo"})
        await call(gateway, "DELETE", {"type": "model", "name": "acme/demo"})
        status, _ = await call(gateway, "DELETE", {"type": "model", "name": "acme/demo"})
        assert status == 404
        told = [
            (write["action"], write["repo"], write["new_repo"], write["asked"], write["outcome"], write["status"])
            for write in reversed(await trail(gateway))
        ]
    assert told == [
        ("repo.create", "alice/demo", None, {"private": True, "gated": "auto"}, "done", 200),
        ("repo.settings", "alice/demo", None, {"gated": "auto"}, "done", 200),
        ("repo.settings", "alice/demo", None, {"private": False}, "done", 200),
        ("repo.move", "alice/demo", "acme/demo", {}, "done", 200),
        ("repo.delete", "acme/demo", None, {}, "done", 200),
        ("repo.delete", "acme/demo", None, {}, "refused", 404),
    ]


async def test_it_tells_who_from_where_and_in_which_request_but_no_secret(hub: ScriptedHub, tmp_path: Path) -> None:
    admin = await make_key(tmp_path, "boss", Role.ADMIN)
    writer = await make_key(tmp_path, "ci", Role.WRITER)
    async with gateway_for(hub.url, tmp_path, SERVER__TRUSTED_PROXIES="127.0.0.1") as gateway:
        space = DEMO | {"type": "space", "sdk": "docker", "secrets": [{"key": "K", "value": "very-secret"}]}
        await call(gateway, "POST", space, X_API_Key=writer, X_Forwarded_For="203.0.113.7", X_Request_Id="mine")
        await call(gateway, "POST", DEMO, Authorization="Bearer hf_token_of_bob")
        bob, ci = await trail(gateway, admin)
    assert (ci["caller"], ci["caller_kind"], ci["address"], ci["request_id"]) == ("ci", "key", "203.0.113.7", "mine")
    name = fingerprint("hf_token_of_bob")
    assert (bob["caller"], bob["caller_kind"], bob["caller_id"]) == ("alice/demo", "hub_token", name)
    kept = (tmp_path / FILE_NAME).read_bytes()
    for secret in ("very-secret", "hf_token_of_bob", writer, admin, "hf_gateway_token_of_the_tests"):
        assert secret.encode() not in kept


@pytest.mark.parametrize(
    ("reply", "outcome", "status", "code"),
    [
        (MADE, "done", 200, None),
        (says(403, b'{"error": "no"}'), "refused", 403, "HubRefused"),
        (says(409, b'{"error": "there"}'), "refused", 409, "HubRefused"),
        (says(503), "unknown", 503, "HubFailed"),
        (says(200, b"<html>"), "unknown", 502, "HubMisspoke"),
        (resets, "unknown", 502, "HubBroke"),
        (hangs, "unknown", 504, "HubSlow"),
    ],
)
async def test_what_came_of_it(
    hub: ScriptedHub, tmp_path: Path, reply: Any, outcome: str, status: int, code: str | None
) -> None:
    hub.reply = reply
    patience = {"UPSTREAM__ANSWER_TIMEOUT": "500ms"} if reply is hangs else {}
    async with gateway_for(hub.url, tmp_path, **patience) as gateway:
        await call(gateway, "POST", DEMO)
        [write] = await trail(gateway)
    assert (write["outcome"], write["status"], write["code"]) == (outcome, status, code)
    assert write["finished_at"] >= write["at"]


async def test_a_hub_that_was_never_reached_is_no_unknown_outcome(tmp_path: Path) -> None:
    async with gateway_for("http://127.0.0.1:1", tmp_path) as gateway:
        await call(gateway, "POST", DEMO)
        [write] = await trail(gateway)
    assert (write["outcome"], write["code"]) == ("failed", "HubUnreachable")


async def test_a_relayed_write_whose_caller_goes_away_has_an_unknown_outcome_at_once(
    hub: ScriptedHub, tmp_path: Path
) -> None:
    hub.reply = hangs
    async with gateway_for(hub.url, tmp_path) as gateway:
        body = {"name": "demo", "organization": "alice"}
        calling = asyncio.create_task(gateway.http.post(f"{gateway.url}/api/repos/create", json=body))
        await eventually(lambda: hub.asked)
        calling.cancel()
        writes = await eventually(lambda: trail(gateway), lambda writes: writes and writes[0]["finished_at"])
    assert (writes[0]["outcome"], writes[0]["status"]) == ("unknown", None)
    assert [asked.method for asked in hub.asked] == ["POST"]


async def test_a_gateway_that_is_killed_in_the_middle_leaves_the_intent(hub: ScriptedHub, tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def asked_then_hangs(what: Asked, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await hangs(what, writer)

    hub.reply = asked_then_hangs
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hfproxy", "serve", "--port", "0", "--upstream", hub.url,
        cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
        env=environment(HFPROXY_STORAGE__ROOT=str(tmp_path), HFPROXY_LOGGING__FORMAT="json"),
    )  # fmt: skip
    try:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as http:
            while b"server.started" not in (line := await process.stderr.readline()):
                pass
            url = json.loads(line)["url"]
            writing = asyncio.create_task(http.post(f"{url}/api/repo", json=DEMO))
            await asked.wait()
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(aiohttp.ClientError):
                await writing
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    async with gateway_for(hub.url, tmp_path) as gateway:
        [write] = await trail(gateway)
    assert (write["action"], write["repo"], write["outcome"]) == ("repo.create", "alice/demo", "unknown")
    assert write["finished_at"] is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_what_cannot_be_written_down_is_not_done(hub: ScriptedHub, tmp_path: Path, method: str) -> None:
    body = {"PUT": {"type": "model", "namespace": "alice/demo", "private": True}}.get(
        method, {"type": "model", "name": "alice/demo"}
    )
    async with gateway_for(hub.url, tmp_path) as gateway:
        with sqlite3.connect(tmp_path / FILE_NAME) as other:
            other.execute("DROP TABLE audit_outcomes")
            other.execute("DROP TABLE audit_writes")
        other.close()
        status, problem = await call(gateway, method, body)
    assert (status, problem["code"]) == (503, "StorageUnavailable")
    assert hub.asked == []


async def test_only_an_admin_reads_it(hub: ScriptedHub, tmp_path: Path) -> None:
    secrets = {role: await make_key(tmp_path, role.name, role) for role in (Role.READER, Role.WRITER, Role.ADMIN)}
    async with gateway_for(hub.url, tmp_path) as gateway:
        found = {}
        for authorization in [*secrets.values(), "hf_token_of_bob", None]:
            headers = {"Authorization": f"Bearer {authorization}"} if authorization else {}
            async with gateway.http.get(f"{gateway.url}/-/audit", headers=headers) as response:
                found[authorization] = response.status
    assert list(found.values()) == [403, 403, 200, 403, 401]


async def test_a_query_that_means_nothing_is_told(hub: ScriptedHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path) as gateway:
        for query in ("cursor=x", "limit=0", "limit=1001", "since=yesterday", "outcome=good", "who=me"):
            async with gateway.http.get(f"{gateway.url}/-/audit?{query}") as response:
                assert response.status == 422, query


async def test_many_writes_at_once_are_each_told(hub: ScriptedHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path) as gateway:
        statuses = await asyncio.gather(
            *(call(gateway, "POST", DEMO | {"name": f"alice/demo{number}"}) for number in range(100))
        )
        assert {status for status, _ in statuses} == {200}
        writes = await trail(gateway, limit="1000")
    assert {write["outcome"] for write in writes} == {"done"}
    assert len({write["request_id"] for write in writes}) == 100


async def test_relayed_writes_are_told_too_and_reads_are_not(sandbox: Sandbox, tmp_path: Path) -> None:
    key = await make_key(tmp_path, "ci", repos=["acme/*"])
    admin = await make_key(tmp_path, "boss", Role.ADMIN)
    lines = [
        {"key": "header", "value": {"summary": "x"}},
        {"key": "file", "value": {"path": "a", "content": "eA==", "encoding": "base64"}},
    ]
    commit = "\n".join(json.dumps(line) for line in lines)

    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice") as gateway:

        async def ask(method: str, path: str, token: str | None = key, **given: Any) -> int:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with gateway.http.request(method, gateway.url + path, headers=headers, **given) as response:
                await response.read()
                return response.status

        assert await ask("POST", "/api/repos/create", json={"name": "demo", "organization": "acme"}) == 200
        assert await ask("POST", "/api/models/acme/demo/commit/main", data=commit) == 200
        assert await ask("GET", "/api/models/acme/demo") == 200
        assert await ask("POST", "/api/models/acme/demo/paths-info/main", json={"paths": ["a"]}) == 200
        move = {"fromRepo": "acme/demo", "toRepo": "alice/demo", "type": "model"}
        assert await ask("POST", "/api/repos/move", json=move) == 403
        assert await ask("POST", "/api/repos/create", json={"name": "demo"}) == 403
        assert await ask("DELETE", "/api/models/acme/demo/tag/none", token="hf_sandbox_bob") == 403
        assert await ask("POST", "/api/models/acme/demo/branch/b", token=None) == 401
        assert await ask("POST", "/api/models/acme/demo/branch/b", token="hf_made_up_by_a_stranger") == 401
        told = [
            (write["caller"], write["action"], write["repo"], write["new_repo"], write["outcome"], write["status"])
            for write in reversed(await trail(gateway, admin))
        ]
    assert told == [
        ("ci", "repo.create", "acme/demo", None, "done", 200),
        ("ci", "repo.commit", "acme/demo", None, "done", 200),
        ("bob", "hub.delete", "acme/demo", None, "refused", 403),
    ]
