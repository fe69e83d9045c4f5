"""Webhooks call: who, about what, and what happens when nobody answers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.support.listener import Listener, listening

from .conftest import ALICE, ALICE_READ, BOB, Answer, Call
from .test_discussions import DEMO, TALK, commit

HOOKS = "/api/settings/webhooks"
ALICES = [{"type": "user", "name": "alice"}]


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening() as started:
        yield started


async def watch(call: Call, url: str, token: str = ALICE, **fields: Any) -> Answer:
    return await call("POST", HOOKS, token, json={"url": url, "watched": ALICES, **fields})


async def create(call: Call, name: str = "demo", **fields: Any) -> Answer:
    return await call("POST", "/api/repos/create", ALICE, json={"name": name, **fields})


async def test_a_webhook_is_made_changed_and_removed_by_its_owner_alone(call: Call) -> None:
    made = (await watch(call, "http://localhost:1/a", secret="s", domains=["repo", "discussions"])).json["webhook"]
    assert (made["domains"], made["disabled"], made["watched"]) == (["repo", "discussion"], False, ALICES)
    path = f"{HOOKS}/{made['id']}"
    assert (await call("GET", path, BOB)).status == 404
    assert (await call("DELETE", path, BOB)).status == 404
    assert (await call("POST", path, ALICE_READ, json={"url": "http://localhost:1/b"})).status == 403
    assert (await call("GET", HOOKS, BOB)).json == []
    changed = await call("POST", path, ALICE, json={"url": "http://localhost:1/b", "watched": []})
    assert changed.json["webhook"] == made | {"url": "http://localhost:1/b"}
    assert (await call("POST", f"{path}/disable", ALICE)).json["webhook"]["disabled"] is True
    assert (await call("POST", f"{path}/enable", ALICE)).json["webhook"]["disabled"] is False
    assert (await call("DELETE", path, ALICE)).status == 200
    assert (await call("GET", path, ALICE)).status == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "ftp://localhost/a"},
        {"url": "http://localhost:99999/"},
        {"url": "nowhere"},
        {"watched": "alice"},
        {"watched": []},
        {"watched": [{"type": "planet", "name": "x"}]},
        {"domains": ["weather"]},
        {"secret": "line\nbreak"},
    ],
)
async def test_a_webhook_that_could_never_call_is_refused(call: Call, fields: dict[str, Any]) -> None:
    assert (
        await call("POST", HOOKS, ALICE, json={"url": "http://localhost:1", "watched": ALICES} | fields)
    ).status == 400
    assert (await call("GET", HOOKS, ALICE)).json == []


async def test_the_life_of_a_repository_is_told_in_order(sandbox: Sandbox, call: Call, listener: Listener) -> None:
    hook = (await watch(call, listener.url, secret="hush")).json["webhook"]["id"]
    made = (await create(call)).json
    headers, told = await listener.next()
    assert headers["X-Webhook-Secret"] == "hush"
    assert told["event"] == {"action": "create", "scope": "repo"}
    assert told["webhook"] == {"id": hook, "version": 3}
    assert told["repo"]["id"] == made["id"]
    assert told["repo"]["url"] == {"web": f"{sandbox.url}/alice/demo", "api": f"{sandbox.url}{DEMO}"}
    before = told["repo"]["headSha"]

    commit_hash = (await commit(call, ALICE, "main", a="a")).json["commitOid"]
    told = await listener.told()
    assert told["event"] == {"action": "update", "scope": "repo.content"}
    assert told["updatedRefs"] == [{"ref": "refs/heads/main", "oldSha": before, "newSha": commit_hash}]

    await call("POST", f"{DEMO}/branch/next", ALICE, json={})
    assert (await listener.told())["updatedRefs"] == [{"ref": "refs/heads/next", "oldSha": None, "newSha": commit_hash}]
    await call("DELETE", f"{DEMO}/branch/next", ALICE)
    assert (await listener.told())["updatedRefs"] == [{"ref": "refs/heads/next", "oldSha": commit_hash, "newSha": None}]

    await call("PUT", f"{DEMO}/settings", ALICE, json={"private": True})
    told = await listener.told()
    assert (told["event"]["scope"], told["updatedConfig"]) == ("repo.config", {"private": True})

    await call("POST", "/api/repos/move", ALICE, json={"fromRepo": "alice/demo", "toRepo": "acme/demo"})
    told = await listener.told()
    assert (told["event"]["action"], told["movedTo"]["name"]) == ("move", "acme/demo")


async def test_a_deletion_is_told(call: Call, listener: Listener) -> None:
    await create(call)
    await watch(call, listener.url, watched=[{"type": "model", "name": "alice/demo"}])
    await create(call, "other")
    await call("DELETE", "/api/repos/delete", ALICE, json={"name": "demo"})
    told = await listener.told()
    assert (told["event"], told["repo"]["name"]) == ({"action": "delete", "scope": "repo"}, "alice/demo")


async def test_what_is_said_in_a_discussion_is_told(call: Call, listener: Listener) -> None:
    await create(call)
    await watch(call, listener.url, domains=["discussion"])
    await call("POST", TALK, BOB, json={"title": "Why?", "pullRequest": True})
    told = await listener.told()
    assert (told["event"], told["discussion"]["num"]) == ({"action": "create", "scope": "discussion"}, 1)
    assert told["discussion"]["changes"] == {"base": "refs/heads/main"}
    said = (await call("POST", f"{TALK}/1/comment", BOB, json={"comment": "Hm"})).json["newMessage"]["id"]
    told = await listener.told()
    assert (told["event"]["scope"], told["comment"]["content"]) == ("discussion.comment", "Hm")
    await call("POST", f"{TALK}/1/comment/{said}/hide", BOB)
    told = await listener.told()
    assert (told["event"]["action"], told["comment"]["hidden"]) == ("update", True)
    assert "content" not in told["comment"]
    await call("POST", f"{TALK}/1/status", BOB, json={"status": "closed"})
    assert (await listener.told())["discussion"]["status"] == "closed"


async def test_nobody_is_told_of_what_they_may_not_see(call: Call, listener: Listener) -> None:
    await watch(call, listener.url, BOB)
    await create(call, "hidden", private=True)
    await create(call, "open")
    assert (await listener.told())["repo"]["name"] == "alice/open"


async def test_a_disabled_webhook_is_not_called(call: Call, listener: Listener) -> None:
    hook = (await watch(call, listener.url)).json["webhook"]["id"]
    await call("POST", f"{HOOKS}/{hook}/disable", ALICE)
    await create(call, "unheard")
    await call("POST", f"{HOOKS}/{hook}/enable", ALICE)
    await create(call, "heard")
    assert (await listener.told())["repo"]["name"] == "alice/heard"


async def test_a_listener_that_hangs_holds_up_neither_writes_nor_others(call: Call, listener: Listener) -> None:
    async with listening() as other:
        listener.gate.clear()
        await watch(call, listener.url)
        await watch(call, other.url)
        async with asyncio.timeout(30):
            await create(call)
            await commit(call, ALICE, "main", a="a")
        assert (await other.told())["event"]["scope"] == "repo"
        assert (await other.told())["event"]["scope"] == "repo.content"
        assert (await listener.told())["event"]["scope"] == "repo"
        assert listener.heard.empty()


async def test_a_listener_that_fails_is_called_again_but_not_for_ever(call: Call) -> None:
    async with listening([500, 503, 429, 400]) as listener:
        await watch(call, listener.url)
        await create(call, "one")
        await create(call, "two")
        await create(call, "three")
        heard = [(await listener.told())["repo"]["name"] for _ in range(5)]
    assert heard == ["alice/one"] * 3 + ["alice/two", "alice/three"]


async def test_a_webhook_outlives_the_sandbox(tmp_path: Path, http: aiohttp.ClientSession, listener: Listener) -> None:
    auth = {"Authorization": f"Bearer {ALICE}"}
    async with running_sandbox(SandboxConfig(data=tmp_path)) as sandbox:
        await http.post(sandbox.url + HOOKS, json={"url": listener.url, "watched": ALICES}, headers=auth)
    async with running_sandbox(SandboxConfig(data=tmp_path)) as sandbox:
        await http.post(f"{sandbox.url}/api/repos/create", json={"name": "demo"}, headers=auth)
        assert (await listener.told())["repo"]["name"] == "alice/demo"
