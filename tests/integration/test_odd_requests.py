"""Requests of every odd shape, byte by byte: each is cleanly refused or answered, with no 500, no hang and no trace."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import running_sandbox
from tests.support.gateway import gateway_for
from tests.support.raw_http import Answer, connection_to
from tests.support.serving import Serving, serving

# One gateway and one event loop for all: a start costs more than any of these requests.
pytestmark = pytest.mark.asyncio(loop_scope="module")
TOKEN = "hf_" + "MarkedTokenOfACaller" * 2
BODY = b'{"type": "model", "name": "odd", "private": true}'


def get(
    *lines: bytes, target: bytes = b"/api/account", version: bytes = b"HTTP/1.1", host: bytes = b"localhost"
) -> bytes:
    return b"\r\n".join([b"GET " + target + b" " + version, b"Host: " + host, *lines, b"", b""])


def post(*lines: bytes, body: bytes = BODY) -> bytes:
    return b"\r\n".join([b"POST /api/repo HTTP/1.1", b"Host: localhost", *lines, b"", b""]) + body


CHUNKED = b"Transfer-Encoding: chunked"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with (
        running_sandbox(SandboxConfig()) as hub,
        gateway_for(hub.url, tmp_path_factory.mktemp("kept"), UPSTREAM__TOKEN="hf_sandbox_alice") as running,
    ):
        yield running.url


UNREADABLE = {
    "giant header": (get(b"X-A: " + b"a" * 200_000), 431),
    "many headers": (get(*(b"X-%d: a" % number for number in range(500))), 431),
    "giant address": (get(target=b"/" + b"a" * 200_000), 431),
    "version 2 in the line": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "version 3 in the line": (get(version=b"HTTP/3.0"), 400),
    "TLS on the plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, 400),
    "not HTTP at all": (b"EHLO mail.example\r\n", 400),
    "unknown method": (b"BREW /api/account HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "long method": (b"A" * 5000 + b" /api/account HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "no Host": (b"GET /api/account HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (get(b"Host: elsewhere"), 400),
    "broken absolute target": (get(target=b"http://[::1/api/account"), 400),
    "impossible port in the target": (get(target=b"http://localhost:99999999/api/account"), 400),
    "length and chunks": (
        post(b"Content-Length: 4", CHUNKED, body=b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        400,
    ),
    "chunks and length": (post(CHUNKED, b"Content-Length: 4", body=b"0\r\n\r\n"), 400),
    "two lengths": (post(b"Content-Length: 2", b"Content-Length: 3", body=b"{}x"), 400),
    "list of lengths": (post(b"Content-Length: 2, 2", body=b"{}"), 400),
    "negative length": (post(b"Content-Length: -2", body=b"{}"), 400),
    "signed length": (post(b"Content-Length: +2", body=b"{}"), 400),
    "endless length": (post(b"Content-Length: 99999999999999999999999", body=b"{}"), 400),
    "disguised chunks": (post(b"Transfer-Encoding: xchunked", b"Content-Length: 2", body=b"{}"), 400),
    "space before the colon": (post(b"Transfer-Encoding : chunked", b"Content-Length: 2", body=b"{}"), 400),
    "chunked twice": (post(b"Transfer-Encoding: chunked, chunked", body=b"2\r\n{}\r\n0\r\n\r\n"), 400),
    "folded header": (get(b"X-A: b", b" c"), 400),
    "header without a name": (get(b": b"), 400),
    "token with a NUL": (get(b"Authorization: Bearer " + TOKEN.encode() + b"\x00"), 400),
    "token before a bare CR": (get(b"Authorization: Bearer " + TOKEN.encode() + b"\rX: y"), 400),
    "NUL in the path": (get(target=b"/api/acc\x00ount"), 400),
    "UTF-8 in the path": (get(target="/api/äccount".encode()), 400),
    "Latin-1 in the query": (get(target="/api/account?name=ä".encode("latin-1")), 400),
    "bare line feeds": (b"GET /api/account HTTP/1.1\nHost: localhost\n\n", 400),
    "no path at all": (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_is_not_http_is_refused_as_a_problem_and_the_connection_closed(gateway: str, name: str) -> None:
    raw, status = UNREADABLE[name]
    async with connection_to(gateway) as connection:
        await connection.send(raw)
        answer = await connection.answer()
        assert answer is not None
        problem = _problem(answer)
        assert (answer.status, problem["status"]) == (status, status)
        assert problem["code"] == ("HeadTooLarge" if status == 431 else "BadRequest")
        assert TOKEN.encode() not in answer.raw
        assert b"smuggled" not in answer.raw
        assert await connection.ended()


async def test_a_client_that_begins_with_http_2_is_told_what_to_speak(gateway: str) -> None:
    """curl --http2-prior-knowledge, and httpx with http1=False."""
    async with connection_to(gateway) as connection:
        await connection.send(UNREADABLE["version 2 in the line"][0])
        answer = await connection.answer()
        assert answer is not None
        assert _problem(answer)["detail"] == "this is HTTP/2, which is not spoken here: use HTTP/1.1"


REFUSED = {
    "older than HTTP/1.0": (b"GET /api/account\r\n\r\n", 400),
    "broken Host": (get(host=b"[::1"), 400),
    "Host with a path": (get(host=b"a b/c@d:99999999"), 400),
    "an echo": (b"TRACE /api/account HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "a tunnel": (b"CONNECT huggingface.co:443 HTTP/1.1\r\nHost: huggingface.co:443\r\n\r\n", 405),
    "a tunnel to a path": (b"CONNECT /api/account HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "a length beyond all measure": (post(b"Content-Length: 999999999999", body=b""), 413),
    "chunks beyond the limit": (post(CHUNKED, body=b"200000\r\n" + b" " * 0x200000 + b"\r\n0\r\n\r\n"), 413),
    "broken chunk": (post(CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"), 400),
    "broken end of a chunk": (post(CHUNKED, body=b"2\r\n{}XX0\r\n\r\n"), 400),
    "a compressed body": (post(b"Content-Encoding: gzip", b"Content-Length: %d" % len(BODY)), 415),
    "NUL in an encoded name": (b"DELETE /api/repo?type=model&name=a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n", 422),
    "no UTF-8 in an encoded name": (
        b"DELETE /api/repo?type=model&name=%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        422,
    ),
    "broken encoding of a name": (b"DELETE /api/repo?type=model&name=%zz%2 HTTP/1.1\r\nHost: localhost\r\n\r\n", 422),
    "half a surrogate": (post(b"Content-Length: 34", body=rb'{"type": "model", "name": "\ud800"}'[:34]), 400),
    "an expectation nobody has": (post(b"Expect: cake", b"Content-Length: 2", body=b"{}"), 417),
    "the same of a relay": (get(b"Expect: cake", target=b"/api/models"), 417),
    "the same of a file": (get(b"Expect: cake", target=b"/alice/odd/resolve/main/a"), 417),
    "the same of a page": (get(b"Expect: cake", target=b"/docs"), 417),
    "NUL in an encoded path": (get(target=b"/api/account%00"), 404),
    "out of the root": (get(target=b"/../../etc/passwd"), 400),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_http_and_unfit_is_refused(gateway: str, name: str) -> None:
    raw, status = REFUSED[name]
    async with connection_to(gateway) as connection:
        await connection.send(raw)
        answer = await connection.answer()
        assert answer is not None
        assert answer.status == status, answer.raw
        assert status != 417 or _problem(answer)["code"] == "ExpectationFailed"


ANSWERED = {
    "absolute target": get(target=b"http://localhost/api/account"),
    "absolute target, whose host counts": get(target=b"http://127.0.0.1:8080/api/account", host=b"elsewhere.example"),
    "absolute target of another scheme": get(target=b"HTTPS://localhost/api/account?"),
    "empty line before": b"\r\n" + get(),
    "an upgrade that we do not take": get(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
    "HTTP/2 that we do not take": get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"),
    "HTTP/1.0": get(version=b"HTTP/1.0"),
    "HTTP/1.0 without Host": b"GET /api/account HTTP/1.0\r\n\r\n",
    "a body where none is wanted": get(b"Content-Length: 5") + b"hello",
    "ranges and conditions": get(b"Range: bytes=0-1", b"If-Modified-Since: x", b"If-Match: *", b"Cookie: \xff=;;"),
    "long address": get(target=b"/api/account?x=" + b"a" * 60_000),
}


@pytest.mark.parametrize("name", ANSWERED)
async def test_what_is_odd_and_allowed_is_answered(gateway: str, name: str) -> None:
    async with connection_to(gateway) as connection:
        await connection.send(ANSWERED[name])
        answer = await connection.answer()
        assert answer is not None
        assert answer.status == 200, answer.raw
        assert json.loads(answer.body)["name"] == "alice"
        if b"HTTP/1.0" in ANSWERED[name]:
            assert await connection.ended()


async def test_an_absolute_target_of_another_host_gains_nothing_by_a_local_host_header(gateway: str) -> None:
    async with connection_to(gateway) as connection:
        await connection.send(get(target=b"http://rebound.example/api/account", host=b"localhost"))
        answer = await connection.answer()
        assert answer is not None
        assert answer.status == 401


async def test_pipelined_requests_are_answered_in_order(gateway: str) -> None:
    async with connection_to(gateway) as connection:
        await connection.send(get() + get(target=b"/nothing") + get())
        answers = [await connection.answer() for _ in range(3)]
        assert [answer.status if answer else None for answer in answers] == [200, 404, 200]
        await connection.send(b"BREW / HTTP/1.1\r\n\r\n")
        refusal = await connection.answer()
        assert refusal is not None
        assert refusal.status == 400
        assert await connection.ended()


async def test_a_head_request_is_answered_without_a_body_and_options_with_the_methods(gateway: str) -> None:
    async with connection_to(gateway) as connection:
        await connection.send(get().replace(b"GET", b"HEAD") + get().replace(b"GET", b"OPTIONS"))
        head = await connection.answer(of_head=True)
        options = await connection.answer()
        assert head is not None
        assert head.status == 200
        assert int(head.headers["content-length"]) > 100
        assert options is not None
        assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_a_body_is_asked_for_with_100_continue(gateway: str) -> None:
    async with connection_to(gateway) as connection:
        await connection.send(post(b"Expect: 100-continue", b"Content-Length: %d" % len(BODY), body=b""))
        interim = await connection.answer()
        assert interim is not None
        assert interim.status == 100
        await connection.send(BODY)
        answer = await connection.answer()
        assert answer is not None
        assert answer.status == 200


async def test_a_client_that_closes_its_half_is_still_answered(gateway: str) -> None:
    async with connection_to(gateway) as connection:
        await connection.send(get())
        connection.writer.write_eof()
        answer = await connection.answer()
        assert answer is None or answer.status == 200
        assert await connection.ended()


async def test_the_log_of_all_that_holds_neither_a_trace_nor_a_token(tmp_path: Path) -> None:
    async with (
        running_sandbox(SandboxConfig()) as hub,
        serving(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN="hf_sandbox_alice") as server,
    ):
        for raw in [*(raw for raw, _ in [*UNREADABLE.values(), *REFUSED.values()]), *ANSWERED.values()]:
            await _answered(server, raw)
        assert await server.end() == 0
        told = [event for event in server.events() if event["event"] == "request.unreadable"]
        assert len(told) >= len(UNREADABLE)
        assert all(event["detail"] and event["address"] == "127.0.0.1" for event in told)
        assert not [event for event in server.events() if event["level"] in {"warning", "error"}]
        assert "Traceback" not in server.printed()
        assert TOKEN not in server.printed()


async def _answered(server: Serving, raw: bytes) -> None:
    async with connection_to(server.url) as connection:
        await connection.send(raw)
        assert await connection.answer() is not None


def _problem(answer: Answer) -> dict[str, object]:
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem: dict[str, object] = json.loads(answer.body)
    assert answer.headers["x-error-message"] == problem["detail"]
    return problem
