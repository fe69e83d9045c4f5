"""The earlier microservice's calls, as its clients sent them, against the sandbox Hub."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hfproxy.downstream.access import Role
from hfproxy.features.access.service import KeyService
from hfproxy.features.access.store import KeyStore
from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import Sandbox, running_sandbox
from hfproxy.storage.opening import open_database
from tests.support.gateway import Gateway, gateway_for

TYPES = ["model", "dataset", "space", "kernel"]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    # A name that must not be dialled: whoever follows it goes round the gateway and fails.
    async with running_sandbox(SandboxConfig(public_url="https://huggingface.co")) as running:
        yield running


@pytest.fixture
async def gateway(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice") as running:
        yield running


async def _call(gateway: Gateway, method: str, path: str = "/api/repo", **given: Any) -> tuple[int, Any]:
    async with gateway.http.request(method, gateway.url + path, **given) as response:
        return response.status, await response.json(content_type=None)


@pytest.mark.parametrize("path", ["/api/account", "/api/account/"])
async def test_the_account_is_the_one_behind_the_token(gateway: Gateway, path: str) -> None:
    status, account = await _call(gateway, "GET", path)
    assert (status, account["name"], account["type"]) == (200, "alice", "user")
    assert [org["name"] for org in account["orgs"]] == ["acme"]


@pytest.mark.parametrize("repo_type", TYPES)
async def test_a_repository_is_created_shown_private_made_public_and_deleted(gateway: Gateway, repo_type: str) -> None:
    sdk = {"sdk": "static"} if repo_type == "space" else {}
    status, made = await _call(gateway, "POST", json={"type": repo_type, "name": "demo", "private": True, **sdk})
    prefix = "" if repo_type == "model" else f"{repo_type}s/"
    assert status == 200, made
    assert made["id"] == "alice/demo"
    assert made["type"] == repo_type
    assert made["url"] == f"https://huggingface.co/{prefix}alice/demo"
    assert made["private"] is True
    status, changed = await _call(gateway, "PUT", json={"type": repo_type, "namespace": "alice/demo", "private": False})
    assert (status, changed["id"], changed["private"]) == (200, "alice/demo", False)
    status, gone = await _call(gateway, "DELETE", json={"type": repo_type, "name": "alice/demo"})
    assert (status, gone["id"]) == (200, "alice/demo")
    status, problem = await _call(gateway, "DELETE", json={"type": repo_type, "name": "alice/demo"})
    assert (status, problem["code"]) == (404, "HubRefused")


@pytest.mark.parametrize("body", [{"name": "demo"}, {"name": "demo", "organization": "alice"}, {"name": "alice/demo"}])
async def test_a_deletion_answers_the_full_name(gateway: Gateway, body: dict[str, str]) -> None:
    await _call(gateway, "POST", json={"type": "model", "name": "demo", "private": True})
    status, gone = await _call(gateway, "DELETE", json={"type": "model", **body})
    assert (status, gone["id"]) == (200, "alice/demo")
    assert gone["url"].endswith("/alice/demo")


async def test_spaces_in_the_plural_and_an_organisation_beside_the_name(gateway: Gateway, sandbox: Sandbox) -> None:
    fields = {"type": "spaces", "name": "board", "organization": "acme", "private": False, "sdk": "gradio"}
    status, made = await _call(gateway, "POST", json=fields)
    assert (status, made["id"], made["type"]) == (200, "acme/board", "space")
    status, _ = await _call(gateway, "DELETE", "/api/repo/?type=spaces&name=acme/board")
    assert status == 200
    status, problem = await _call(gateway, "PUT", json={"type": "space", "namespace": "acme/board", "private": True})
    assert (status, problem["code"]) == (404, "HubRefused")


async def test_a_repository_that_exists_is_a_conflict_or_as_good_as_new(gateway: Gateway) -> None:
    fields = {"type": "model", "name": "demo", "private": True}
    await _call(gateway, "POST", json=fields)
    status, problem = await _call(gateway, "POST", json=fields)
    assert status == 409
    assert problem["url"] == "https://huggingface.co/alice/demo"
    status, there = await _call(gateway, "POST", json={**fields, "private": False, "exist_ok": True})
    assert (status, there["id"], there["private"]) == (200, "alice/demo", True)


async def test_a_repository_is_gated_and_renamed(gateway: Gateway, sandbox: Sandbox) -> None:
    status, made = await _call(gateway, "POST", json={"type": "model", "name": "demo", "gated": "manual"})
    assert (status, made["private"]) == (200, False)
    status, moved = await _call(
        gateway, "PUT", json={"type": "model", "namespace": "alice/demo", "move": "acme/better", "private": True}
    )
    assert (status, moved["id"], moved["private"]) == (200, "acme/better", True)
    assert moved["url"].endswith("/acme/better")


async def test_a_foreign_namespace_is_the_hubs_refusal(gateway: Gateway) -> None:
    status, problem = await _call(gateway, "POST", json={"type": "model", "name": "bob/demo", "private": True})
    assert (status, problem["code"]) == (403, "HubRefused")
    assert "bob" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "body", "named"),
    [
        ("POST", {}, {"type", "name"}),
        ("POST", {"type": "model", "name": "demo", "colour": "red"}, {"colour"}),
        ("POST", {"type": "model", "name": "a/b/c"}, {"name"}),
        ("POST", {"type": "model", "name": "-demo"}, {"name"}),
        ("POST", {"type": "model", "name": 5}, {"name"}),
        ("POST", {"type": "model", "name": "demo", "private": "yes"}, {"private"}),
        ("POST", {"type": "bucket", "name": "demo"}, {"type"}),
        ("POST", {"type": None, "name": "demo"}, {"type"}),
        ("POST", {"type": "space", "name": "demo"}, {"sdk"}),
        ("POST", {"type": "model", "name": "demo", "sdk": "static"}, {"sdk"}),
        ("POST", {"type": "model", "name": "demo", "private": True, "visibility": "public"}, {"visibility"}),
        ("POST", {"type": "model", "name": "acme/demo", "organization": "bob"}, {"organization"}),
        ("PUT", {"type": "model", "namespace": "demo", "private": True}, {"namespace"}),
        ("PUT", {"type": "model", "namespace": "alice/demo"}, {"private"}),
        ("DELETE", {}, {"type", "name"}),
        ("DELETE", {"type": "model", "name": "demo", "force": True}, {"force"}),
    ],
)
async def test_wrong_fields_are_each_named(gateway: Gateway, method: str, body: Any, named: set[str]) -> None:
    status, problem = await _call(gateway, method, json=body)
    assert (status, problem["code"]) == (422, "BadFields")
    assert {error["field"] for error in problem["errors"]} == named


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 50_000, b'{"a": NaN}', b"type=model"])
async def test_what_is_not_json_is_a_bad_request(gateway: Gateway, body: bytes) -> None:
    for method in ("POST", "PUT", "DELETE"):
        status, problem = await _call(gateway, method, data=body)
        assert (status, problem["code"]) == (400, "BadRequest")


async def test_a_write_with_its_fields_in_the_wrong_place_is_refused(gateway: Gateway) -> None:
    status, problem = await _call(gateway, "POST", "/api/repo?private=true", json={"type": "model", "name": "demo"})
    assert (status, problem["errors"][0]["field"]) == (422, "private")


def test_curl_as_the_earlier_service_documented_it(tmp_path: Path) -> None:
    """A form's content type, a body on DELETE, and a path with a slash at its end."""
    import asyncio

    async def replay() -> list[str]:
        async with (
            running_sandbox(SandboxConfig()) as hub,
            gateway_for(hub.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice") as gateway,
        ):
            answers = []
            for method, body in [
                ("POST", '{"type": "model", "name": "demo", "private": true}'),
                ("PUT", '{"type": "model", "namespace": "alice/demo", "private": false}'),
                ("DELETE", '{"type": "model", "name": "demo"}'),
            ]:
                command = [
                    "curl",
                    "-sS",
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{http_code}",
                    "-X",
                    method,
                    f"{gateway.url}/api/repo/",
                ]
                done = await asyncio.to_thread(subprocess.run, [*command, "-d", body], capture_output=True, text=True)
                answers.append(done.stdout)
            return answers

    assert asyncio.run(replay()) == ["200", "200", "200"]


async def test_an_owners_repositories_are_listed_by_kind_and_name(gateway: Gateway) -> None:
    for name, private in (("one", True), ("two", False), ("acme/three", True)):
        status, _ = await _call(gateway, "POST", json={"type": "model", "name": name, "private": private})
        assert status == 200
    status, found = await _call(gateway, "GET")
    assert (status, found["owner"]) == (200, "alice")
    assert {(repo["id"], repo["private"]) for repo in found["repos"]} == {("alice/one", True), ("alice/two", False)}
    _, found = await _call(gateway, "GET", params={"owner": "acme", "type": "models"})
    assert [repo["id"] for repo in found["repos"]] == ["acme/three"]
    _, found = await _call(gateway, "GET", params={"search": "tw"})
    assert [repo["id"] for repo in found["repos"]] == ["alice/two"]
    _, found = await _call(gateway, "GET", params={"limit": "1"})
    assert len(found["repos"]) == 1
    status, problem = await _call(gateway, "GET", params={"limit": "0", "kind": "x"})
    assert (status, {each["field"] for each in problem["errors"]}) == (422, {"limit", "kind"})


async def test_a_key_for_some_repositories_does_not_hear_of_others(sandbox: Sandbox, tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        keys = KeyService(store=KeyStore(database))
        _, secret = await keys.create("limited", Role.WRITER, repos=["alice/t*"])
        _, admin = await keys.create("all", Role.ADMIN)
    async with gateway_for(sandbox.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice") as gateway:
        for name in ("one", "two"):
            body = {"type": "model", "name": name, "private": True}
            assert (await _call(gateway, "POST", json=body, headers={"X-API-Key": admin}))[0] == 200
        _, found = await _call(gateway, "GET", headers={"X-API-Key": secret})
        assert [repo["id"] for repo in found["repos"]] == ["alice/two"]
