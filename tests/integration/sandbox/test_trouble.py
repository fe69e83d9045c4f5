"""Trouble on order, as clients meet it on the wire."""

import asyncio
import hashlib
import json
import time

import aiohttp
import pytest

from hfproxy.sandbox.server import SandboxConfig, running_sandbox
from hfproxy.sandbox.trouble import Trouble

from .conftest import ALICE

INFO = "/api/models/alice/tiny-sentence-encoder"
WEIGHTS = "/alice/tiny-sentence-encoder/resolve/main/model.safetensors"


@pytest.fixture
def config() -> SandboxConfig:
    return SandboxConfig(seed="demo")


@pytest.fixture
def order(sandbox):
    """Order a trouble: `order("cut=100,path=/repos/*")`."""
    return lambda text: sandbox.hub.troubles.add(Trouble.parse(text))


@pytest.fixture
async def cdn_url(call) -> str:
    return (await call("GET", WEIGHTS)).headers["Location"]


async def raw_answer(url: str, request: str) -> bytes:
    """All bytes of an answer until the connection ends, without any client's opinion of them."""
    host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode())
    try:
        return await reader.read()
    finally:
        writer.close()


def plain_get(url: str) -> str:
    path = "/" + url.removeprefix("http://").partition("/")[2]
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n\r\n"


async def test_the_next_calls_fail_as_the_hub_fails_and_are_on_record(call, order, sandbox):
    order("status=503,times=2,method=POST,path=/api/repos/create,retry_after=1")
    for expected in (503, 503, 200):
        answer = await call("POST", "/api/repos/create", ALICE, json={"name": "demo"})
        assert answer.status == expected
        assert answer.headers["X-Powered-By"] == "huggingface-moon"
        if expected == 503:
            assert answer.json == {"error": "Service Unavailable"} and answer.headers["Retry-After"] == "1"
            assert answer.headers["X-Error-Message"] == "Service Unavailable"
    assert [asked.status for asked in sandbox.asked if asked.method == "POST"] == [503, 503, 200]


async def test_an_answer_may_be_lost_after_the_work_was_done(call, order, sandbox):
    order("status=500,times=1,method=POST,carried_out")
    order("cut=headers,times=1,skip=1,method=POST,carried_out")
    assert (await call("POST", "/api/repos/create", ALICE, json={"name": "one"})).status == 500
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await call("POST", "/api/repos/create", ALICE, json={"name": "two"})
    assert sandbox.hub.repos.find("model", "alice/one") and sandbox.hub.repos.find("model", "alice/two")


async def test_too_many_requests_in_both_ways_of_saying_it(call, order):
    order("rate_limited=30,times=1")
    limited = await call("GET", INFO)
    assert limited.status == 429 and limited.headers["RateLimit"] == '"api";r=0;t=30'
    order("status=429,retry_after=7,times=1,code=Slow,message=Easy")
    slow = await call("GET", INFO)
    assert (slow.status, slow.headers["Retry-After"], slow.headers["X-Error-Code"]) == (429, "7", "Slow")
    assert slow.json == {"error": "Easy"}


async def test_latency_comes_before_everything(call, order):
    order("latency=200ms,times=1")
    began_s = time.monotonic()
    assert (await call("GET", INFO)).status == 200
    assert time.monotonic() - began_s >= 0.2


async def test_a_connection_ends_before_the_headers(call, order):
    # aiohttp's client asks once more by itself.
    order("cut=headers,times=2")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await call("GET", INFO)
    order("cut=headers,reset,times=2")
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await call("GET", INFO)
    assert (await call("GET", INFO)).status == 200


@pytest.mark.parametrize("at", [0, 1, 1000])
async def test_a_body_is_cut_exactly_where_it_should_be(order, cdn_url, at):
    whole = (
        await raw_answer(cdn_url, plain_get(cdn_url).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
    ).partition(b"\r\n\r\n")
    order(f"cut={at},origin=cdn")
    head, _, body = (await raw_answer(cdn_url, plain_get(cdn_url))).partition(b"\r\n\r\n")
    assert body == whole[2][:at]
    assert f"Content-Length: {len(whole[2])}".encode() in head


async def test_a_cut_may_be_a_reset_after_all_bytes_before_it(http, order, cdn_url):
    order("cut=1000,reset,origin=cdn")
    async with http.get(cdn_url) as answer:
        assert len(await answer.content.readexactly(1000)) == 1000
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.read()


async def test_a_chunked_body_is_cut_without_its_end(call, order, sandbox):
    location = (await call("GET", WEIGHTS.replace("model.safetensors", "README.md"))).headers["Location"]
    order("cut=50,path=/api/resolve-cache/*")
    request = plain_get(sandbox.url + location).replace("identity", "gzip")
    answer = await raw_answer(sandbox.url, request)
    assert b"Transfer-Encoding: chunked" in answer and not answer.endswith(b"0\r\n\r\n")


async def test_one_byte_is_turned_over_and_the_length_is_right(call, order, cdn_url):
    whole = (await call("GET", cdn_url)).body
    order("corrupt=5000,origin=cdn")
    wrong = (await call("GET", cdn_url)).body
    assert [at for at in range(len(whole)) if whole[at] != wrong[at]] == [5000] and len(whole) == len(wrong)
    assert hashlib.sha256(wrong).digest() != hashlib.sha256(whole).digest()


async def test_lengths_lie_in_both_directions(call, order, cdn_url):
    honest = int((await call("HEAD", cdn_url)).headers["Content-Length"])
    order("length=-3,times=2,origin=cdn")
    assert int((await call("HEAD", cdn_url)).headers["Content-Length"]) == honest - 3
    assert len((await call("GET", cdn_url)).body) == honest - 3
    order("length=10,times=1,origin=cdn")
    with pytest.raises(aiohttp.ClientPayloadError):
        await call("GET", cdn_url)
    order("length=5,times=1,path=/api/*")
    with pytest.raises(aiohttp.ClientPayloadError):
        await call("GET", INFO)


async def test_silence_before_the_headers_or_within_the_body(http, order, sandbox, cdn_url):
    order("hang=headers,path=/api/*")
    with pytest.raises(TimeoutError):
        await http.get(sandbox.url + INFO, timeout=aiohttp.ClientTimeout(total=0.3))
    order("hang=100,origin=cdn")
    async with http.get(cdn_url) as answer:
        assert len(await answer.content.readexactly(100)) == 100
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer.content.readany(), 0.3)


async def test_what_hangs_ends_when_troubles_are_over(http, order, sandbox, cdn_url):
    order("hang=0,origin=cdn")
    async with http.get(cdn_url) as answer:
        sandbox.hub.troubles.clear()
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_the_first_byte_and_all_others_may_be_slow(http, order, cdn_url):
    order("first_byte=300ms,times=1,origin=cdn")
    began_s = time.monotonic()
    async with http.get(cdn_url) as answer:
        whole = await answer.read()
    assert time.monotonic() - began_s >= 0.3
    order(f"bandwidth={2 * len(whole)},origin=cdn")
    began_s = time.monotonic()
    async with http.get(cdn_url) as answer:
        assert await answer.read() == whole
    assert 0.4 <= time.monotonic() - began_s < 60


async def test_a_captive_portal_answers_200_and_nothing_of_the_hub(call, order):
    order("body=html,times=1")
    page = await call("GET", WEIGHTS)
    assert page.status == 200 and page.headers["Content-Type"] == "text/html" and b"log in" in page.body
    assert not {"X-Repo-Commit", "X-Request-Id", "RateLimit", "X-Powered-By"} & set(page.headers)


async def test_json_that_is_none(http, order, sandbox):
    for kind in ("truncated", "garbled", "empty"):
        order(f"body={kind},times=1")
        async with http.get(sandbox.url + INFO) as answer:
            assert answer.status == 200 and answer.content_type == "application/json"
            with pytest.raises(ValueError):
                json.loads(await answer.text())


async def test_headers_are_left_out(call, order, sandbox):
    order("without=X-Linked-Size+X-Repo-Commit+Content-Length,times=2")
    for method in ("HEAD", "GET"):
        answer = await call(method, WEIGHTS)
        assert answer.status == 302 and answer.headers["X-Linked-ETag"]
        assert not {"X-Linked-Size", "X-Repo-Commit", "Content-Length"} & set(answer.headers)
    assert (await call("GET", WEIGHTS)).headers["X-Repo-Commit"]


async def test_the_cdn_fails_in_its_own_words(call, order, cdn_url):
    order("status=503,origin=cdn,times=1")
    answer = await call("GET", cdn_url)
    assert answer.status == 503 and answer.headers["Content-Type"] == "application/xml"


async def test_it_is_switched_over_http_by_anybody_and_never_meets_itself(call, sandbox):
    created = await call("POST", "/-/trouble", data=b"status=500,path=*")
    assert created.status == 201 and created.json["trouble"] == {"status": 500}
    assert (await call("GET", INFO)).status == 500
    told = await call("GET", "/-/trouble")
    assert told.json == {"troubles": [{"id": 1, "seen": 1, "struck": 1, "trouble": {"status": 500}}]}
    lines = b"status=502,times=1\n\nlatency=1ms\n"
    assert [each["id"] for each in (await call("PUT", "/-/trouble", data=lines)).json["troubles"]] == [2, 3]
    assert [(await call("GET", INFO)).status for _ in range(2)] == [502, 200]
    assert (await call("DELETE", "/-/trouble/2")).status == 200
    assert (await call("DELETE", "/-/trouble/2")).status == 404
    replaced = await call("PUT", "/-/trouble", json=[{"status": 504}, "cut=headers,skip=9"])
    assert len(replaced.json["troubles"]) == 2 and (await call("GET", INFO)).status == 504
    assert (await call("DELETE", "/-/trouble")).json == {"troubles": []}
    assert (await call("GET", INFO)).status == 200


@pytest.mark.parametrize("body", [b"colour=red", b'{"status": 1}', b"{", b"[1]", b"status=500\nstatus=501", b"\xff"])
async def test_an_order_that_makes_no_sense_is_refused(call, body):
    answer = await call("POST", "/-/trouble", data=body)
    assert answer.status == 400 and answer.json["error"]


async def test_a_sandbox_may_begin_in_trouble(http):
    config = SandboxConfig(troubles=(Trouble(status=502),))
    async with running_sandbox(config) as sandbox, http.get(sandbox.url + "/api/models") as answer:
        assert answer.status == 502


async def test_a_share_of_calls_fails(call, order):
    order("status=503,rate=0.5,seed=3")
    statuses = [(await call("GET", "/api/agent-harnesses")).status for _ in range(40)]
    assert 10 < statuses.count(503) < 30 and set(statuses) == {200, 503}
