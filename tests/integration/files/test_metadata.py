"""What the Hub says of repositories is kept for a while, for whom it was said, and forgotten when it changes."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, gateway_for
from tests.support.scripted_hub import ScriptedHub, closes, says, scripted_hub

INFO = "/api/models/acme/demo/revision/main"
TREE = "/api/models/acme/demo/tree/main?recursive=true"


def told(token: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


async def get(gateway: Gateway, path: str, token: str | None = None) -> tuple[int, bytes, str | None]:
    async with gateway.http.get(gateway.url + path, headers=told(token)) as answer:
        return answer.status, await answer.read(), answer.headers.get("Link")


@pytest.fixture
async def hub() -> AsyncIterator[ScriptedHub]:
    async with scripted_hub(says(200, b'{"sha":"1"}')) as hub:
        yield hub


@pytest.fixture
async def gateway(hub: ScriptedHub, tmp_path: Path, kept_in: dict[str, str]) -> AsyncIterator[Gateway]:
    async with gateway_for(hub.url, tmp_path, **kept_in, FILES__FRESH_FOR="1h", FILES__RIGHTS_FOR="1h") as gateway:
        yield gateway


async def test_an_answer_is_asked_for_once(hub: ScriptedHub, gateway: Gateway) -> None:
    for _ in range(3):
        assert (await get(gateway, INFO))[:2] == (200, b'{"sha":"1"}')
    assert len(hub.asked) == 1


@pytest.mark.also_in_a_bucket
async def test_nobody_gets_what_was_said_to_another(hub: ScriptedHub, gateway: Gateway) -> None:
    assert (await get(gateway, INFO, "hf_alice_of_the_tests"))[0] == 200
    hub.reply = says(404, b'{"error":"Repository not found"}', X_Error_Code="RepoNotFound")
    assert (await get(gateway, INFO, "hf_mallory_of_the_tests"))[0] == 404
    assert (await get(gateway, INFO))[0] == 404
    assert (await get(gateway, INFO, "hf_alice_of_the_tests"))[0] == 200


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_refusals_and_failures_are_not_kept(hub: ScriptedHub, gateway: Gateway, status: int) -> None:
    hub.reply = says(status, b'{"error":"no"}')
    assert (await get(gateway, INFO))[0] == status
    hub.reply = says(200, b"{}")
    assert (await get(gateway, INFO))[0] == 200


async def test_that_a_path_is_not_there_is_kept_as_it_was_said(hub: ScriptedHub, gateway: Gateway) -> None:
    """`datasets` lists `data/` of every data set whose card names no files: a 404 that it lives with, a 504 not."""
    absent = b'{"error":"data does not exist on \\"main\\""}'
    hub.reply = says(404, absent, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found", RateLimit="r=1;t=9")
    for _ in range(3):
        async with gateway.http.get(f"{gateway.url}/api/datasets/acme/demo/tree/{'a' * 40}/data") as answer:
            assert (answer.status, await answer.read()) == (404, absent)
            assert answer.headers["X-Error-Code"] == "EntryNotFound"
            assert "RateLimit" not in answer.headers
    assert len(hub.asked) == 1


async def test_that_a_path_is_not_there_is_known_offline_and_not_to_others(
    hub: ScriptedHub, tmp_path: Path, kept_in: dict[str, str]
) -> None:
    path = f"/api/datasets/acme/demo/tree/{'a' * 40}/data"
    hub.reply = says(404, b'{"error":"no"}', X_Error_Code="EntryNotFound")
    async with gateway_for(hub.url, tmp_path, **kept_in) as gateway:
        assert (await get(gateway, path))[0] == 404
    async with gateway_for(hub.url, tmp_path, **kept_in, FILES__OFFLINE="true") as gateway:
        assert (await get(gateway, path))[0] == 404
        assert (await get(gateway, path, "hf_mallory_of_the_tests"))[0] == 504
        assert (await get(gateway, path.replace("a" * 40, "b" * 40)))[0] == 504


async def test_xet_hashes_are_not_told_in_mode_http_and_pages_lead_back_to_us(hub: ScriptedHub, tmp_path: Path) -> None:
    page = json.dumps([{"type": "file", "path": "w.bin", "xetHash": "0" * 64, "size": 1}]).encode()
    hub.reply = says(200, page, Link='<https://huggingface.co/api/models/acme/demo/tree/main?cursor=a>; rel="next"')
    long = {"FILES__FRESH_FOR": "1h", "FILES__RIGHTS_FOR": "1h"}
    async with gateway_for(hub.url, tmp_path, XET__MODE="http", **long) as gateway:
        for _ in range(2):
            status, body, link = await get(gateway, TREE)
            assert (status, json.loads(body)) == (200, [{"type": "file", "path": "w.bin", "size": 1}])
            assert link == f'<{gateway.url}/api/models/acme/demo/tree/main?cursor=a>; rel="next"'
    assert len(hub.asked) == 1


async def test_a_form_of_paths_is_a_question_of_its_own(hub: ScriptedHub, gateway: Gateway) -> None:
    hub.reply = says(200, b"[]")
    for paths in (["a"], ["b"], ["a"]):
        async with gateway.http.post(
            f"{gateway.url}/api/models/acme/demo/paths-info/main", data={"paths": paths}
        ) as answer:
            assert answer.status == 200
    assert [asked.body for asked in hub.asked] == [b"paths=a", b"paths=b"]


@pytest.mark.also_in_a_bucket
async def test_a_write_forgets_what_was_said(hub: ScriptedHub, gateway: Gateway) -> None:
    await get(gateway, INFO)
    await get(gateway, "/api/models?search=x")
    async with gateway.http.post(f"{gateway.url}/api/models/Acme/Demo/branch/new", json={}) as answer:
        assert answer.status == 200
    hub.reply = says(200, b'{"sha":"2"}')
    assert (await get(gateway, INFO))[1] == b'{"sha":"2"}'
    assert (await get(gateway, "/api/models?search=x"))[1] == b'{"sha":"2"}'


@pytest.mark.parametrize("away", [closes, says(503, b"{}"), says(429, b"{}")], ids=["closes", "503", "429"])
@pytest.mark.also_in_a_bucket
async def test_the_last_answer_is_given_while_the_hub_is_away(
    hub: ScriptedHub, tmp_path: Path, kept_in: dict[str, str], away: Callable[..., object]
) -> None:
    async with gateway_for(hub.url, tmp_path, **kept_in, FILES__FRESH_FOR="0s") as gateway:
        await get(gateway, INFO)
        await get(gateway, INFO, "hf_alice_of_the_tests")
    hub.reply = away  # type: ignore[assignment]
    async with gateway_for(hub.url, tmp_path, **kept_in, FILES__FRESH_FOR="0s") as gateway:
        assert (await get(gateway, INFO))[:2] == (200, b'{"sha":"1"}')
        assert (await get(gateway, INFO, "hf_alice_of_the_tests"))[0] in {429, 502, 503}


@pytest.mark.parametrize(("code", "status"), [("RepoNotFound", 502), ("RevisionNotFound", 200)])
async def test_what_the_hub_refused_since_is_not_given_while_it_is_away(
    hub: ScriptedHub, tmp_path: Path, code: str, status: int
) -> None:
    async with gateway_for(hub.url, tmp_path, FILES__FRESH_FOR="0s") as gateway:
        for question in (INFO, TREE):
            assert (await get(gateway, question))[0] == 200
        hub.reply = says(404, b'{"error":"no"}', X_Error_Code=code)
        assert (await get(gateway, INFO))[0] == 404
    hub.reply = closes  # type: ignore[assignment]
    async with gateway_for(hub.url, tmp_path, FILES__FRESH_FOR="0s") as gateway:
        assert (await get(gateway, TREE))[0] == status
