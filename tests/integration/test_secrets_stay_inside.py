"""Tokens and keys of known look go in, every kind of error is provoked, and then all that came out is searched."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.command import hfproxy
from tests.support.raw_http import connection_to
from tests.support.scripted_hub import Asked, Reply, closes, hangs, resets, says, scripted_hub, writes
from tests.support.serving import Serving, serving

HUB_TOKEN = "hf_" + "HubTokenOfTheGateway" * 2
CALLER_TOKEN = "hf_" + "HubTokenOfACaller" * 2
WRONG_KEY = "hfp_" + "AKeyThatNobodyMade" * 2
SPACE_SECRET = "the-secret-of-a-space-0123456789"
SIGNATURE = "5ignature0fAnAddress0123456789"


def echoes(status: int) -> Reply:
    """A Hub that repeats what it was sent wherever it can: the worst there is."""

    async def reply(asked: Asked, writer: asyncio.StreamWriter) -> None:
        sent = asked.headers.get("authorization", "")
        body = {"error": f"bad header Authorization: {sent} for {asked.raw_path}", "errors": [{"message": sent}]}
        address = f"https://cdn.example/x?Expires=1&Signature={SIGNATURE}&Key-Pair-Id=K{SIGNATURE}"
        body["error"] += f" {address}"
        await says(
            status,
            json.dumps(body).encode(),
            X_Error_Message=f"{sent} was refused",
            X_Error_Code="RepoNotFound",
            X_Request_Id="Root=1-ab",
            Location=f"/elsewhere?token={sent.removeprefix('Bearer ')}",
        )(asked, writer)

    return reply


REPLIES = [
    *(echoes(status) for status in (307, 400, 401, 403, 404, 409, 422, 429, 500, 503)),
    says(401, b'{"error":"Invalid username or password."}'),
    says(200, b"<html>portal</html>"),
    writes(b"SSH-2.0-x\r\n"),
    resets,
    closes,
    hangs,
]


class Searched:
    """Everything that came back, as text."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def ask(self, session: aiohttp.ClientSession, method: str, url: str, **given: object) -> int:
        async with session.request(method, url, allow_redirects=False, **given) as response:  # type: ignore[arg-type]
            body = await response.read()
            self.seen.append(f"{response.status} {dict(response.headers)} {body.decode('latin-1')}")
            return response.status

    def text(self) -> str:
        return "\n".join(self.seen)


@pytest.fixture
async def secrets_and_output(tmp_path: Path) -> AsyncIterator[tuple[dict[str, str], dict[str, str]]]:
    """The secrets, and all that the gateway answered, printed, logged, measured and kept."""
    made = hfproxy("keys", "create", "searched", "--role", "admin", cwd=tmp_path, **kept_in(tmp_path))
    key = next(word for word in made.stdout.split() if word.startswith("hfp_"))
    searched = Searched()
    async with (
        scripted_hub(closes) as hub,
        serving(
            tmp_path,
            HF_ENDPOINT=hub.url,
            HF_ACCESS_TOKEN=HUB_TOKEN,
            HFPROXY_UPSTREAM__ANSWER_TIMEOUT="500ms",
            HFPROXY_LOGGING__FILE=str(tmp_path / "log.json"),
            HFPROXY_LOGGING__LEVEL="debug",
        ) as server,
        aiohttp.ClientSession() as session,
    ):
        for reply in REPLIES:
            hub.reply = reply
            await _use_every_call(searched, session, server, key)
        await _send_what_is_not_http(searched, server, key)
        for path in ("/-/metrics", "/-/audit?limit=1000", "/-/openapi.json", "/-/ready", "/"):
            status = await searched.ask(session, "GET", server.url + path, headers={"Authorization": f"Bearer {key}"})
            assert status == 200 or path == "/-/ready"
        assert await server.end() == 0
        kept = b"".join(path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file())
        output = {
            "answers": searched.text(),
            "streams": server.printed(),
            "log file": (tmp_path / "log.json").read_text(),
            "database": kept.decode("latin-1"),
        }
    secrets = {
        "the Hub token": HUB_TOKEN,
        "the key": key,
        "a caller's token": CALLER_TOKEN,
        "a wrong key": WRONG_KEY,
        "a Space's secret": SPACE_SECRET,
        "a signature": SIGNATURE,
        "the key as a password": base64.b64encode(f"git:{key}".encode()).decode(),
    }
    yield secrets, output


async def test_no_secret_is_in_anything_that_came_out(
    secrets_and_output: tuple[dict[str, str], dict[str, str]],
) -> None:
    secrets, output = secrets_and_output
    # That the search has something to search, and that all kinds of errors were in it.
    for code in (
        "HubRefused",
        "HubTokenRejected",
        "CallerTokenRejected",
        "HubBroke",
        "HubMisspoke",
        "HubSlow",
        "HubFailed",
    ):
        assert code in output["answers"], f"{code} was not provoked"
    assert all(len(text) > 1000 for text in output.values())
    found = [
        f"{name} in {where}" for name, secret in secrets.items() for where, text in output.items() if secret in text
    ]
    assert not found


def kept_in(root: Path) -> dict[str, str]:
    return {"HFPROXY_STORAGE__ROOT": str(root / "kept")}


async def _use_every_call(searched: Searched, session: aiohttp.ClientSession, server: Serving, key: str) -> None:
    repo = {"type": "space", "name": "acme/x", "sdk": "docker", "secrets": [{"key": "K", "value": SPACE_SECRET}]}
    wrong = {**repo, "token": HUB_TOKEN, "secrets": [{"key": "K", "value": SPACE_SECRET, "more": CALLER_TOKEN}]}
    password = base64.b64encode(f"git:{key}".encode()).decode()
    for authorization in (f"Bearer {key}", f"Bearer {CALLER_TOKEN}", f"Basic {password}"):
        headers = {"Authorization": authorization}
        url = f"{server.url}/api/repo"
        await searched.ask(session, "GET", f"{server.url}/api/account", headers=headers)
        await searched.ask(session, "POST", url, json=repo, headers=headers)
        await searched.ask(
            session, "PUT", url, json={"type": "model", "namespace": "a/b", "private": True}, headers=headers
        )
        await searched.ask(session, "DELETE", f"{url}?type=model&name=acme/x", headers=headers)
    headers = {"X-API-Key": key}
    assert await searched.ask(session, "POST", url, json={**wrong, "token": "x"}, headers=headers) == 422
    assert await searched.ask(session, "POST", url, data=f'{{"a": "{SPACE_SECRET}"', headers=headers) == 400
    assert await searched.ask(session, "GET", url, headers={"Authorization": f"Bearer {WRONG_KEY}"}) in {401, 429}


async def _send_what_is_not_http(searched: Searched, server: Serving, key: str) -> None:
    for raw in (
        f"GET /api/account HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\0\r\n\r\n",
        f"GET /api/account HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {CALLER_TOKEN}\r\n\r\n",
        f"Authorization: Bearer {HUB_TOKEN}\r\n\r\n",
        f"TRACE / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n",
    ):
        async with connection_to(server.url) as connection:
            await connection.send(raw.encode())
            answer = await connection.answer()
            assert answer is not None
            searched.seen.append(answer.raw.decode("latin-1"))
