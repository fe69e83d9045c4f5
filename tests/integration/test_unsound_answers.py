"""Answers that no Hub should give: each is passed on as it is or told as the Hub's mistake, never as ours."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gateway import Gateway, gateway_for
from tests.support.raw_http import connection_to
from tests.support.scripted_hub import ScriptedHub, says, scripted_hub, writes

# One gateway and one Hub for all: a start costs more than any of these requests.
pytestmark = pytest.mark.asyncio(loop_scope="module")

DEEP = b"[" * 100_000 + b"]" * 100_000
CALLS = [
    ("GET", "/api/account"),
    ("GET", "/api/models/acme/demo/refs"),
    ("POST", "/api/repos/create"),
    ("POST", "/acme/demo.git/info/lfs/objects/batch"),
    ("HEAD", "/acme/demo/resolve/main/a"),
    ("GET", "/acme/demo/resolve/main/b"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[ScriptedHub]:
    async with scripted_hub(says(200)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(hub: ScriptedHub, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway_for(hub.url, tmp_path_factory.mktemp("kept")) as running:
        yield running


async def status_of(gateway: Gateway, method: str, path: str, body: bytes = b'{"name": "demo"}') -> int:
    sent = body if method == "POST" else None
    async with gateway.http.request(method, gateway.url + path, data=sent, allow_redirects=False) as response:
        await response.read()
        return response.status


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n",
        b"HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 200 OK\r\nX-Odd: a\x01b\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 307 Away\r\nLocation: http://\xff\xfe/\x01\r\nContent-Length: 0\r\n",
    ],
)
async def test_what_cannot_be_passed_on_is_the_hubs_mistake(
    hub: ScriptedHub, gateway: Gateway, head: bytes, method: str, path: str
) -> None:
    hub.reply = writes(head + b"\r\n")
    assert await status_of(gateway, method, path) == 502


@pytest.mark.parametrize("path", ["/api/account", "/acme/demo/resolve/main/c"])
async def test_a_redirect_to_a_host_that_is_no_name_is_the_hubs_mistake(
    hub: ScriptedHub, gateway: Gateway, path: str
) -> None:
    hub.reply = writes(b"HTTP/1.1 307 Away\r\nLocation: http://\xff\xfe/\r\nContent-Length: 0\r\n\r\n")
    assert await status_of(gateway, "GET", path) == 502


@pytest.mark.parametrize("path", ["/api/repos/create", "/acme/demo.git/info/lfs/objects/batch"])
async def test_json_nested_without_an_end_is_passed_on_both_ways(hub: ScriptedHub, gateway: Gateway, path: str) -> None:
    hub.reply = says(200, DEEP)
    async with gateway.http.post(gateway.url + path, data=DEEP) as response:
        assert (response.status, await response.read()) == (200, DEEP)
    assert hub.asked[-1].body == DEEP


async def test_half_a_surrogate_pair_in_an_answer_that_is_changed_stays_one(hub: ScriptedHub, gateway: Gateway) -> None:
    hub.reply = says(200, json.dumps({"url": f"{hub.url}/acme/demo", "name": "\ud800"}).encode())
    async with gateway.http.post(f"{gateway.url}/api/repos/create", data=b'{"name": "demo"}') as response:
        assert json.loads(await response.read()) == {"url": f"{gateway.url}/acme/demo", "name": "\ud800"}


@pytest.mark.parametrize("size", ["9" * 5000, "-5", "\u0665", "1e3"])
async def test_a_size_that_is_none_is_the_hubs_mistake(hub: ScriptedHub, gateway: Gateway, size: str) -> None:
    told = {
        "X-Repo-Commit": "a" * 40,
        "X-Linked-Etag": f'"{"e" * 64}"',
        "X-Linked-Size": size,
        "Location": "http://cdn/",
    }
    hub.reply = says(302, b"", **told)
    assert await status_of(gateway, "HEAD", "/acme/demo/resolve/main/d") == 502


@pytest.mark.parametrize("empty", ["X-Repo-Commit", "ETag"])
async def test_a_name_of_nothing_names_no_file(hub: ScriptedHub, gateway: Gateway, empty: str) -> None:
    hub.reply = says(200, b"", **{"X-Repo-Commit": "a" * 40, "ETag": '"e"', empty: ""})
    assert await status_of(gateway, "HEAD", "/acme/demo/resolve/main/e") == 502


async def test_no_connection_is_left_in_a_state_that_the_next_answer_could_be_read_wrongly_from(
    hub: ScriptedHub, gateway: Gateway
) -> None:
    async with connection_to(gateway.url) as connection:
        for head, expected in (
            (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 502),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 200),
        ):
            hub.reply = writes(head)
            await connection.send(b"GET /api/models/acme/demo/refs HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = await connection.answer()
            assert answer is not None
            assert answer.status == expected
