"""A Hub on the port that goes without saying, as the real one is: the token goes there, along its redirects too."""

from asyncio import StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from hfproxy.upstream.client import HubClient
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.downloads import HubFiles, Way
from hfproxy.upstream.refs import FileRef, RepoRef, RepoType
from tests.support.scripted_hub import Asked, ScriptedHub, says, scripted_hub

TOKEN = "hf_token_of_the_gateway"
CREDENTIAL = Credential("gateway", TOKEN)
COMMIT = "a" * 40


class _Everywhere(AbstractResolver):
    """Leads every name and port to one server, as no test may listen on port 80."""

    def __init__(self, url: str) -> None:
        self._port = urlsplit(url).port or 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing to do."""


@asynccontextmanager
async def session_to(hub: ScriptedHub) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(resolver=_Everywhere(hub.url))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.mark.parametrize("endpoint", ["http://hub.example", "http://hub.example:80", "http://hub.example/hub"])
async def test_a_relayed_call_has_the_token(endpoint: str) -> None:
    async with scripted_hub(says(200)) as hub, session_to(hub) as session:
        client = HubClient(endpoint, session)
        for url in (client.address("/api/whoami-v2"), client.address("/a%2Fb?c=%20")):
            async with client.stream("GET", url, credential=CREDENTIAL, headers=[]) as answer:
                assert answer.status == 200
        assert [_token(asked) for asked in hub.asked] == [TOKEN, TOKEN]
        assert {asked.headers["host"] for asked in hub.asked} == {"hub.example"}


@pytest.mark.parametrize("location", ["/elsewhere", "http://hub.example/elsewhere", "http://hub.example:80/elsewhere"])
@pytest.mark.parametrize("endpoint", ["http://hub.example", "http://hub.example:80"])
async def test_a_redirect_within_it_is_followed_with_the_token(endpoint: str, location: str) -> None:
    described = says(200, b"", **{"X-Repo-Commit": COMMIT, "ETag": '"e"'})

    async def reply(asked: Asked, writer: StreamWriter) -> None:
        answer = described if asked.raw_path == "/elsewhere" else says(307, b"", Location=location)
        await answer(asked, writer)

    async with scripted_hub(reply) as hub, session_to(hub) as session:
        assert (await HubClient(endpoint, session).call("GET", "/api/x", credential=CREDENTIAL)).status == 200
        files = HubFiles(endpoint, session, answer_timeout_s=30, stall_timeout_s=30)
        way = Way(FileRef(RepoRef.parse(RepoType.MODEL, "acme/demo"), "main", "a.txt"), CREDENTIAL)
        assert (await files.describe(way)).commit_hash == COMMIT
        assert [_token(asked) for asked in hub.asked] == [TOKEN] * 4


def _token(asked: Asked) -> str:
    return asked.headers.get("authorization", "").removeprefix("Bearer ")
