"""What the Hub and the network do wrong, as a caller of the gateway sees it: every row of the mapping."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import gateway_for
from tests.support.scripted_hub import Reply, closes, hangs, resets, says, scripted_hub, writes

REPO = {"type": "model", "name": "acme/demo", "private": True}


async def _account(reply: Reply, root: Path, **variables: str) -> tuple[int, Mapping[str, str], dict[str, Any]]:
    async with (
        scripted_hub(reply) as hub,
        gateway_for(hub.url, root, **variables) as gateway,
        gateway.http.get(f"{gateway.url}/api/account") as response,
    ):
        assert response.content_type == "application/problem+json"
        problem = await response.json(content_type=None)
        assert problem["status"] == response.status
        assert problem["error"] == problem["detail"]
        assert response.headers["X-Error-Message"]
        return response.status, response.headers, problem


@pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 412, 422, 429])
async def test_the_hubs_own_refusal_keeps_status_words_and_headers(status: int, tmp_path: Path) -> None:
    reply = says(
        status,
        json.dumps({"error": "not today"}).encode(),
        X_Error_Code="RepoNotFound",
        X_Request_Id="Root=1-abc",
        RateLimit='"api";r=0;t=55',
        RateLimit_Policy='"fixed window";"api";q=500;w=300',
        Retry_After="55",
    )
    got, headers, problem = await _account(reply, tmp_path)
    assert (got, problem["code"], problem["detail"]) == (status, "HubRefused", "not today")
    assert headers["X-Error-Code"] == "RepoNotFound"
    assert headers["X-Request-Id"] == "Root=1-abc"
    assert headers["RateLimit"] == '"api";r=0;t=55'
    assert headers["RateLimit-Policy"] == '"fixed window";"api";q=500;w=300'
    assert headers["Retry-After"] == "55"


async def test_a_rejected_gateway_token_is_told_from_any_other_401(tmp_path: Path) -> None:
    text = b'{"error":"Invalid username or password."}'
    status, _, problem = await _account(says(401, text), tmp_path)
    assert (status, problem["code"]) == (401, "HubTokenRejected")
    status, _, problem = await _account(says(401, text, X_Error_Code="GatedRepo"), tmp_path)
    assert (status, problem["code"]) == (401, "HubRefused")


@pytest.mark.parametrize(
    ("hub_status", "status"), [(500, 502), (501, 502), (502, 502), (503, 503), (504, 504), (520, 502)]
)
async def test_the_hubs_own_failure_is_a_bad_gateway(hub_status: int, status: int, tmp_path: Path) -> None:
    got, headers, problem = await _account(says(hub_status, b"<html>Oops</html>", Retry_After="7"), tmp_path)
    assert (got, problem["code"], problem["hub_status"]) == (status, "HubFailed", hub_status)
    assert headers["Retry-After"] == "7"
    assert "<html>" not in problem["detail"]


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        pytest.param(resets, 502, "HubBroke", id="reset"),
        pytest.param(closes, 502, "HubBroke", id="closed"),
        pytest.param(writes(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), 502, "HubBroke", id="truncated"),
        pytest.param(
            writes(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"nam\r\n'),
            502,
            "HubBroke",
            id="chunk missing",
        ),
        pytest.param(says(200, b"<html>Log in to this network</html>"), 502, "HubMisspoke", id="captive portal"),
        pytest.param(says(200, b"[1, 2]"), 502, "HubMisspoke", id="other JSON"),
        pytest.param(says(200, b'{"name": 5}'), 502, "HubMisspoke", id="wrong type"),
        pytest.param(says(200, b"\xff\xfe"), 502, "HubMisspoke", id="not text"),
        pytest.param(says(200, b"[" * 100_000), 502, "HubMisspoke", id="deep JSON"),
        pytest.param(says(200, b"not gzip", Content_Encoding="gzip"), 502, "HubBroke", id="wrong coding"),
        pytest.param(writes(b"SSH-2.0-OpenSSH_9.2\r\n"), 502, "HubMisspoke", id="not HTTP"),
        pytest.param(writes(b"HTTP/1.1 banana\r\n\r\n"), 502, "HubMisspoke", id="bad status line"),
        pytest.param(says(307, Location="http://127.0.0.2:9/elsewhere"), 502, "HubMisspoke", id="redirect away"),
        pytest.param(says(307, Location="/api/whoami-v2"), 502, "HubMisspoke", id="redirect loop"),
        pytest.param(says(302), 502, "HubMisspoke", id="redirect to nowhere"),
        pytest.param(hangs, 504, "HubSlow", id="hangs"),
        pytest.param(says(200, b'{"na', length=50, Connection="keep-alive"), 504, "HubSlow", id="stalls in the body"),
    ],
)
async def test_a_broken_hub_is_a_clear_bad_gateway(reply: Reply, status: int, code: str, tmp_path: Path) -> None:
    got, _, problem = await _account(reply, tmp_path, UPSTREAM__ANSWER_TIMEOUT="1s")
    assert (got, problem["code"]) == (status, code)
    assert problem["asked"] == "GET /api/whoami-v2"


async def test_a_refused_connection_and_an_unknown_name_are_unreachable(tmp_path: Path) -> None:
    async with scripted_hub(closes) as gone:
        pass
    for upstream in (gone.url, "http://hub.invalid"):
        async with (
            gateway_for(upstream, tmp_path) as gateway,
            gateway.http.get(f"{gateway.url}/api/account") as response,
        ):
            problem = await response.json(content_type=None)
            assert (response.status, problem["code"]) == (502, "HubUnreachable")


@pytest.mark.parametrize("reply", [resets, closes, says(500), says(503, Retry_After="1"), hangs])
async def test_a_write_that_may_have_arrived_is_never_repeated(reply: Reply, tmp_path: Path) -> None:
    async with scripted_hub(reply) as hub, gateway_for(hub.url, tmp_path, UPSTREAM__ANSWER_TIMEOUT="1s") as gateway:
        for method in ("POST", "DELETE"):
            hub.asked.clear()
            body = REPO if method == "POST" else {"type": "model", "name": "acme/demo"}
            async with gateway.http.request(method, f"{gateway.url}/api/repo", json=body) as response:
                assert response.status in {502, 503, 504}
            assert [asked.method for asked in hub.asked] == [method]


WRITES_WITHOUT_PROMISED_JSON = [
    ("PUT", {"type": "model", "namespace": "acme/demo", "private": True}),
    ("PUT", {"type": "model", "namespace": "acme/demo", "move": "acme/new"}),
    ("DELETE", {"type": "model", "name": "acme/demo"}),
]
CONFIRMS_NOTHING = [
    says(200, b"<html>Log in to this network</html>", Content_Type="text/html"),
    says(200, b"\n<!doctype html>", Content_Type="text/plain"),
    says(200, b'{"private": tr'),
    says(304, b""),
]
CONFIRMS = [says(200, b"OK", Content_Type="text/plain"), says(200, b""), says(200, b"{}"), says(204, b"")]


async def test_a_write_is_done_only_where_the_hub_says_so(tmp_path: Path) -> None:
    async with scripted_hub(closes) as hub, gateway_for(hub.url, tmp_path) as gateway:
        for method, body in WRITES_WITHOUT_PROMISED_JSON:
            for hub.reply, status, outcome in [(reply, 502, "unknown") for reply in CONFIRMS_NOTHING] + [
                (reply, 200, "done") for reply in CONFIRMS
            ]:
                async with gateway.http.request(method, f"{gateway.url}/api/repo", json=body) as response:
                    answer = await response.json(content_type=None)
                    assert (response.status, answer.get("code")) == (status, "HubMisspoke" if status == 502 else None)
                async with gateway.http.get(f"{gateway.url}/-/audit?limit=1") as response:
                    assert [write["outcome"] for write in (await response.json())["writes"]] == [outcome]


async def test_the_gateways_token_follows_no_redirect_to_another_origin(tmp_path: Path) -> None:
    async with (
        scripted_hub(says(200, b'{"name": "mallory"}')) as other,
        scripted_hub(says(307, Location=f"{other.url}/api/whoami-v2")) as hub,
        gateway_for(hub.url, tmp_path) as gateway,
        gateway.http.get(f"{gateway.url}/api/account") as response,
    ):
        assert response.status == 502
        assert hub.asked
        assert not other.asked
