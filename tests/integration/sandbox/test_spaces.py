"""Spaces: their settings, how they stand, and the streams that tell it."""

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest

from hfproxy.sandbox.server import Sandbox
from tests.support.waiting import PATIENCE_S

from .conftest import ALICE, BOB, Call

SPACE = "/api/spaces/alice/page"


@pytest.fixture(autouse=True)
async def space(call: Call) -> None:
    await call("POST", "/api/repos/create", ALICE, json={"name": "page", "type": "space", "sdk": "static"})


async def publish(call: Call) -> None:
    content = base64.b64encode(b"<p>hello</p>").decode()
    lines = [
        {"key": "header", "value": {"summary": "A page"}},
        {"key": "file", "value": {"path": "index.html", "content": content, "encoding": "base64"}},
    ]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    assert (await call("POST", f"{SPACE}/commit/main", ALICE, data=body)).status == 200


class Stream:
    """The events of a server-sent stream, one at a time."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while line := await self._answer.content.readline():
                if line.startswith(b"data: {"):
                    return json.loads(line.removeprefix(b"data: "))
        raise EOFError


async def test_secrets_are_never_told_and_never_kept(sandbox: Sandbox, call: Call) -> None:
    put = {"key": "TOKEN", "value": "very-hidden", "description": "d"}
    assert (await call("POST", f"{SPACE}/secrets", ALICE, json=put)).json == {}
    told = (await call("GET", f"{SPACE}/secrets", ALICE)).json
    assert (list(told), told["TOKEN"]["description"]) == (["TOKEN"], "d")
    assert all("very-hidden" not in repo.record.model_dump_json() for repo in sandbox.hub.repos)
    await call("POST", f"{SPACE}/variables", ALICE, json={"key": "COLOUR", "value": "blue"})
    await call("POST", f"{SPACE}/duplicate", ALICE, json={"repository": "alice/copy"})
    assert (await call("GET", "/api/spaces/alice/copy/secrets", ALICE)).json == {}
    assert (await call("GET", "/api/spaces/alice/copy/variables", ALICE)).json["COLOUR"]["value"] == "blue"


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", "/secrets", None),
        ("GET", "/variables", None),
        ("POST", "/secrets", {"key": "A", "value": "b"}),
        ("DELETE", "/variables", {"key": "A"}),
        ("POST", "/hardware", {"flavor": "t4-small"}),
        ("POST", "/sleeptime", {"seconds": 60}),
        ("PUT", "/volumes", {"volumes": []}),
        ("DELETE", "/volumes", None),
        ("POST", "/pause", None),
        ("POST", "/restart", None),
        ("GET", "/logs/run", None),
        ("GET", "/resource-group", None),
        ("GET", "/jwt?write=1", None),
    ],
)
async def test_only_writers_steer_a_space(call: Call, method: str, path: str, fields: dict[str, Any] | None) -> None:
    assert [(await call(method, SPACE + path, token, json=fields)).status for token in (None, BOB)] == [401, 403]


async def test_a_space_that_starts_is_followed_live(sandbox: Sandbox, call: Call, http: aiohttp.ClientSession) -> None:
    auth = {"Authorization": f"Bearer {ALICE}"}
    async with (
        http.get(f"{sandbox.url}{SPACE}/events", headers=auth) as events,
        http.get(f"{sandbox.url}{SPACE}/logs/run", headers=auth) as log,
    ):
        assert events.content_type == "text/event-stream"
        told, said = Stream(events), Stream(log)
        assert (await told.next())["stage"] == "NO_APP_FILE"
        await publish(call)
        stages = [(await told.next())["stage"]]
        while stages[-1] != "RUNNING":
            stages.append((await told.next())["stage"])
        # A commit's time has whole seconds: one of the stages before may be over when it is looked at.
        assert stages in (["BUILDING", "APP_STARTING", "RUNNING"], ["APP_STARTING", "RUNNING"])
        assert "Application Startup" in (await said.next())["data"]
        await call("POST", f"{SPACE}/pause", ALICE)
        paused = await told.next()
        assert (paused["stage"], paused["hardware"]) == ("PAUSED", {"current": None, "requested": "cpu-basic"})
        await call("DELETE", "/api/repos/delete", ALICE, json={"name": "page", "type": "space"})
        with pytest.raises(EOFError):
            await told.next()


async def test_the_head_of_a_stream_does_not_wait(call: Call) -> None:
    async with asyncio.timeout(PATIENCE_S):
        assert (await call("HEAD", f"{SPACE}/events", ALICE)).status == 200


async def test_what_cannot_be_asked_of_a_space_is_refused(call: Call) -> None:
    assert (await call("POST", f"{SPACE}/hardware", ALICE, json={"flavor": "abacus"})).status == 400
    assert (await call("POST", f"{SPACE}/sleeptime", ALICE, json={"seconds": "soon"})).status == 400
    assert (await call("POST", f"{SPACE}/secrets", ALICE, json={"key": "a b", "value": ""})).status == 400
    assert (await call("PUT", f"{SPACE}/volumes", ALICE, json={"volumes": ["x"]})).status == 400


async def test_volumes_are_told_until_they_are_taken_away(call: Call) -> None:
    volume = {"type": "bucket", "source": "alice/pool", "mountPath": "/data"}
    assert (await call("PUT", f"{SPACE}/volumes", ALICE, json={"volumes": [volume]})).status == 200
    assert (await call("GET", f"{SPACE}/runtime", ALICE)).json["volumes"] == [volume]
    assert (await call("DELETE", f"{SPACE}/volumes", ALICE)).status == 200
    assert "volumes" not in (await call("GET", f"{SPACE}/runtime", ALICE)).json
    assert (await call("GET", f"{SPACE}/logs/other", ALICE)).status == 404


async def test_what_goes_with_a_repository(call: Call) -> None:
    [header, claims, _] = (await call("GET", f"{SPACE}/jwt", ALICE)).json["token"].split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"] == "/spaces/alice/page"
    assert (await call("GET", f"{SPACE}/scan")).json == {"scansDone": True, "filesWithIssues": []}
    assert (await call("GET", f"{SPACE}/resource-group", ALICE)).json is None
    await call("POST", f"{SPACE}/resource-group", ALICE, json={"resourceGroupId": "66670e5163145ca562cb1988"})
    assert (await call("GET", f"{SPACE}/resource-group", ALICE)).json == {"id": "66670e5163145ca562cb1988"}
