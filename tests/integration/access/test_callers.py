"""Who a caller is, and with whose token the Hub is asked for them, over real sockets."""

import asyncio
import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hfproxy.downstream.access import Role
from hfproxy.features.access.service import KeyService
from hfproxy.features.access.store import KeyStore
from hfproxy.storage.opening import FILE_NAME, open_database
from tests.support.gateway import Gateway, gateway_for
from tests.support.scripted_hub import ScriptedHub, says, scripted_hub

GATEWAY_TOKEN = "hf_gateway_token_of_the_tests"
WHOAMI = b'{"name": "alice", "type": "user", "orgs": []}'


@pytest.fixture
async def hub() -> AsyncIterator[ScriptedHub]:
    async with scripted_hub(says(200, WHOAMI)) as running:
        yield running


@asynccontextmanager
async def keys_of(root: Path) -> AsyncIterator[KeyService]:
    """The keys of a gateway, as another process changes them."""
    async with open_database(root) as database:
        yield KeyService(store=KeyStore(database))


async def make_key(root: Path, name: str = "ci", role: Role = Role.WRITER, **given: Any) -> str:
    async with keys_of(root) as keys:
        return (await keys.create(name, role, **given))[1]


async def account(gateway: Gateway, **headers: str) -> tuple[int, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with gateway.http.get(f"{gateway.url}/api/account", headers=named) as response:
        return response.status, await response.json(content_type=None)


async def create(gateway: Gateway, **headers: str) -> tuple[int, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"type": "model", "name": "alice/demo", "private": True}
    async with gateway.http.post(f"{gateway.url}/api/repo", json=body, headers=named) as response:
        return response.status, await response.json(content_type=None)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_without_any_key_this_machine_may_do_everything(hub: ScriptedHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path) as gateway:
        assert (await account(gateway))[0] == 200
        assert hub.asked[-1].headers["authorization"] == f"Bearer {GATEWAY_TOKEN}"


async def test_a_key_is_taken_in_every_place_where_clients_put_one(hub: ScriptedHub, tmp_path: Path) -> None:
    secret = await make_key(tmp_path)
    async with gateway_for(hub.url, tmp_path) as gateway:
        for headers in (
            {"Authorization": f"Bearer {secret}"},
            {"Authorization": basic("git", secret)},
            {"Authorization": basic(secret, "")},
            {"X_API_Key": secret},
        ):
            assert (await account(gateway, **headers))[0] == 200
            assert hub.asked[-1].headers["authorization"] == f"Bearer {GATEWAY_TOKEN}"
            assert secret not in repr(hub.asked[-1])
        assert "x-api-key" not in hub.asked[-1].headers


async def test_once_a_key_was_made_nobody_goes_without_even_after_it_is_revoked(
    hub: ScriptedHub, tmp_path: Path
) -> None:
    secret = await make_key(tmp_path)
    async with keys_of(tmp_path) as keys:
        await keys.revoke("ci")
    async with gateway_for(hub.url, tmp_path) as gateway:
        for headers in ({}, {"Authorization": f"Bearer {secret}"}):
            status, problem = await account(gateway, **headers)
            assert (status, problem["code"]) == (401, "CallerUnknown")
    assert hub.asked == []


async def test_a_key_made_while_the_gateway_runs_works_at_once_and_closes_the_door(
    hub: ScriptedHub, tmp_path: Path
) -> None:
    async with gateway_for(hub.url, tmp_path) as gateway:
        assert (await account(gateway))[0] == 200
        secret = await make_key(tmp_path)
        assert (await account(gateway, Authorization=f"Bearer {secret}"))[0] == 200
        assert (await account(gateway))[0] == 401


async def test_a_key_revoked_while_the_gateway_runs_ends_within_two_seconds(hub: ScriptedHub, tmp_path: Path) -> None:
    secret = await make_key(tmp_path)
    async with gateway_for(hub.url, tmp_path) as gateway:
        assert (await account(gateway, Authorization=f"Bearer {secret}"))[0] == 200
        async with keys_of(tmp_path) as keys:
            await keys.revoke("ci")
        async with asyncio.timeout(2 + 58):  # the rest is for a busy machine
            while (await account(gateway, Authorization=f"Bearer {secret}"))[0] == 200:
                pass


async def test_an_expired_key_is_refused(hub: ScriptedHub, tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        old = KeyService(store=KeyStore(database), clock=lambda: datetime.now(UTC) - timedelta(hours=2))
        _, secret = await old.create("ci", Role.ADMIN, lifetime=timedelta(hours=1))
    async with gateway_for(hub.url, tmp_path) as gateway:
        assert (await account(gateway, Authorization=f"Bearer {secret}"))[0] == 401


@pytest.mark.parametrize(("role", "reads", "writes"), [("reader", 200, 403), ("writer", 200, 200), ("admin", 200, 200)])
async def test_what_a_role_may_do(hub: ScriptedHub, tmp_path: Path, role: str, reads: int, writes: int) -> None:
    secret = await make_key(tmp_path, role=Role.named(role))
    async with gateway_for(hub.url, tmp_path) as gateway:
        assert (await account(gateway, Authorization=f"Bearer {secret}"))[0] == reads
        hub.reply = says(200, b'{"url": "https://huggingface.co/alice/demo", "name": "alice/demo"}')
        status, answer = await create(gateway, Authorization=f"Bearer {secret}")
        assert status == writes
        if writes == 403:
            assert answer["code"] == "CallerNotAllowed"
            assert [asked.method for asked in hub.asked] == ["GET"]


@pytest.mark.parametrize("role", ["none", "reader", "writer", "admin"])
async def test_what_is_said_of_anonymous_callers_always_wins(hub: ScriptedHub, tmp_path: Path, role: str) -> None:
    await make_key(tmp_path)
    hub.reply = says(200, b'{"name": "alice/demo", "url": "https://huggingface.co/alice/demo"}')
    async with gateway_for(hub.url, tmp_path, ACCESS__ANONYMOUS=role) as gateway:
        assert (await account(gateway))[0] == (401 if role == "none" else 200)
        assert (await create(gateway))[0] == {"none": 401, "reader": 403}.get(role, 200)


@pytest.mark.parametrize("token", ["hf_abcdefgh", "hf_jwt_abcdefgh", "hf_oauth_abcdefgh", "api_org_abcdefgh"])
async def test_a_caller_with_a_hub_token_acts_as_themselves(hub: ScriptedHub, tmp_path: Path, token: str) -> None:
    await make_key(tmp_path)
    async with gateway_for(hub.url, tmp_path) as gateway:
        for authorization in (f"Bearer {token}", basic("alice", token)):
            assert (await account(gateway, Authorization=authorization))[0] == 200
            assert hub.asked[-1].headers["authorization"] == f"Bearer {token}"


async def test_the_hub_rejecting_a_callers_token_is_told_apart_from_us_rejecting_a_key(
    hub: ScriptedHub, tmp_path: Path
) -> None:
    await make_key(tmp_path)
    hub.reply = says(401, b'{"error": "Invalid username or password."}')
    async with gateway_for(hub.url, tmp_path) as gateway:
        status, problem = await account(gateway, Authorization="Bearer hf_abcdefgh")
        assert (status, problem["code"]) == (401, "CallerTokenRejected")
        status, problem = await account(gateway, Authorization="Bearer hfp_abcdefgh")
        assert (status, problem["code"]) == (401, "CallerUnknown")
        status, problem = await account(gateway, Authorization="Bearer something")
        assert (status, problem["code"]) == (401, "CallerUnknown")


async def test_hub_tokens_can_be_switched_off(hub: ScriptedHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path, ACCESS__HUB_TOKENS="false") as gateway:
        status, problem = await account(gateway, Authorization="Bearer hf_abcdefgh")
        assert (status, problem["code"]) == (401, "CallerUnknown")
        assert "takes no Hub tokens" in problem["detail"]
    assert hub.asked == []


async def test_wrong_keys_are_limited_by_address_while_a_right_key_keeps_working(
    hub: ScriptedHub, tmp_path: Path
) -> None:
    secret = await make_key(tmp_path)
    settings = {"ACCESS__FAILED_ATTEMPTS": "3", "SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    async with gateway_for(hub.url, tmp_path, **settings) as gateway:
        wrong = {"Authorization": "Bearer hfp_wrong", "X_Forwarded_For": "203.0.113.7"}
        assert [(await account(gateway, **wrong))[0] for _ in range(4)] == [401, 401, 401, 429]
        async with gateway.http.get(
            f"{gateway.url}/api/account", headers={"X-API-Key": "hfp_wrong", "X-Forwarded-For": "203.0.113.7"}
        ) as response:
            assert response.status == 429
            assert 0 < int(response.headers["Retry-After"]) <= 60
            assert (await response.json(content_type=None))["code"] == "TooManyAttempts"
        assert (await account(gateway, **wrong | {"X_Forwarded_For": "203.0.113.8"}))[0] == 401
        assert (await account(gateway, **wrong | {"Authorization": f"Bearer {secret}"}))[0] == 200


async def test_what_came_through_a_proxy_is_not_from_this_machine(hub: ScriptedHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path) as gateway:
        status, problem = await account(gateway, X_Forwarded_For="203.0.113.7")
        assert (status, problem["code"]) == (401, "CallerUnknown")
        assert "HFPROXY_ACCESS__ANONYMOUS" in problem["detail"]
    assert hub.asked == []


async def test_keys_hold_while_the_database_is_away(hub: ScriptedHub, tmp_path: Path) -> None:
    secret = await make_key(tmp_path)
    async with gateway_for(hub.url, tmp_path) as gateway:
        with sqlite3.connect(tmp_path / FILE_NAME) as other:
            other.execute("ALTER TABLE gateway_keys RENAME TO elsewhere")
        other.close()
        assert (await account(gateway, Authorization=f"Bearer {secret}"))[0] == 200
        status, problem = await account(gateway, Authorization="Bearer hfp_unknown")
        assert (status, problem["code"]) == (503, "StorageUnavailable")


async def test_what_clients_ask_without_showing_their_key_is_answered_without_any_token(
    hub: ScriptedHub, tmp_path: Path
) -> None:
    # `RepoCard.validate`, the harness registry, telemetry, `hf auth login` and the refreshing of its tokens send none.
    await make_key(tmp_path)
    hub.reply = says(200, b"")
    bare = [
        ("GET", "/api/agent-harnesses"),
        ("POST", "/api/validate-yaml"),
        ("HEAD", "/api/telemetry/some/library"),
        ("POST", "/oauth/device"),
        ("POST", "/oauth/token"),
        ("GET", "/.well-known/openid-configuration"),
    ]
    async with gateway_for(hub.url, tmp_path) as gateway:

        async def ask(method: str, path: str, **headers: str) -> int:
            async with gateway.http.request(method, f"{gateway.url}{path}", headers=headers) as response:
                return response.status

        assert [await ask(*each) for each in bare] == [200] * len(bare)
        assert not any("authorization" in asked.headers for asked in hub.asked)
        told = len(hub.asked)
        others = [("GET", "/api/whoami-v2"), ("DELETE", "/api/agent-harnesses"), ("POST", "/oauth/token/x")]
        others += [("GET", "/oauth/authorize"), ("GET", "/api/models"), ("POST", "/api/validate-yaml/x")]
        assert [await ask(*each) for each in others] == [401] * len(others)
        assert await ask("POST", "/api/validate-yaml", Authorization="Bearer hfp_wrong") == 401
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        await ask("GET", "/api/agent-harnesses", **upgrade, **{"Sec-WebSocket-Key": "c29tZSBub25jZSBvZiAxNg=="})
        assert not any("authorization" in asked.headers for asked in hub.asked[told:])


async def test_git_is_asked_for_its_key_where_those_without_may_only_read(hub: ScriptedHub, tmp_path: Path) -> None:
    # It asks without first, and gives up at 403.
    secret = await make_key(tmp_path)
    batch = {"transfers": ["basic"], "objects": []}
    async with gateway_for(hub.url, tmp_path, ACCESS__ANONYMOUS="reader") as gateway:

        async def ask(method: str, path: str, **sent: Any) -> tuple[int, str]:
            async with gateway.http.request(method, f"{gateway.url}/alice/demo{path}", **sent) as response:
                return response.status, " ".join(response.headers.getall("WWW-Authenticate", []))

        writes: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", ".git/info/refs?service=git-receive-pack", {}),
            ("POST", "/git-receive-pack", {"data": b"0000"}),
            ("POST", ".git/info/lfs/objects/batch", {"json": {**batch, "operation": "upload"}}),
        ]
        for method, path, sent in writes:
            status, challenge = await ask(method, path, **sent)
            assert (status, "Basic realm=" in challenge) == (401, True)
        assert hub.asked == []
        for method, path, sent in writes:
            assert (await ask(method, path, **sent, headers={"Authorization": basic("git", secret)}))[0] == 200
        assert (await ask("GET", ".git/info/refs?service=git-upload-pack"))[0] == 200
        assert (await ask("POST", ".git/info/lfs/objects/batch", json={**batch, "operation": "download"}))[0] == 200
