"""What a relay passes on, byte for byte, both ways."""

import asyncio
from base64 import b64encode
from pathlib import Path

import pytest

from tests.support.gateway import gateway_for
from tests.support.wire import Head, answers, read_body, read_chunked, read_head, wire, wire_server

TARGETS = [
    "/acme/demo/resolve/refs%2Fpr%2F1/a%20b.txt",
    "/api/models/acme/demo/tree/main/a%2Fb?recursive=true&expand=False",
    "/api/models/acme/demo/branch/feature%2Fx",
    "//double//slashes/",
    "/trailing/",
    "/x?",
    "/x??a=b&&c",
    "/x?q=%zz+%20&e=",
    "/%",
    "/a%0Ab",
    "/caf%C3%A9/caf%c3%a9",
    "/semi;colon,comma:@!$&'()*+=~",
    '/quote"<>|^`{}',
    "/" + "k" * 30000,
]


async def test_a_path_and_query_arrive_as_they_were_sent(tmp_path: Path) -> None:
    heads: list[Head] = []
    async with (
        wire_server(answers("200 OK\nContent-Length: 2", b"ok", heads=heads)) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        for target in TARGETS:
            writer.write(f"PROPFIND {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await read_head(reader)
            assert head.status == 200, target
            await read_body(reader, head)
    assert [head.line for head in heads] == [
        f"PROPFIND {target} HTTP/1.1".encode().decode("latin-1") for target in TARGETS
    ]


async def test_a_target_that_names_a_host_is_taken_for_its_path(tmp_path: Path) -> None:
    heads: list[Head] = []
    async with (
        wire_server(answers("204 No Content", heads=heads)) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        writer.write(b"GET http://localhost:99/a%2Fb?c HTTP/1.1\r\nHost: gate\r\n\r\n")
        assert (await read_head(reader)).status == 204
    assert heads[0].target == "/a%2Fb?c"


async def test_headers_pass_but_for_those_of_the_connection_the_host_the_cookies_and_the_token(tmp_path: Path) -> None:
    heads: list[Head] = []
    sent = [
        ("Host", "localhost:1"),
        ("User-Agent", "unknown/None; hf_hub/2.4.0"),
        ("X-HF-Download-Counter", "1"),
        ("x-amzn-trace-id", "abc"),
        ("Accept", "a"),
        ("Accept", "b"),
        ("Authorization", "Bearer hf_of_the_caller"),
        ("Cookie", "session=x"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("TE", "trailers"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Git-Protocol", "version=2"),
    ]
    async with (
        wire_server(answers("204 No Content", heads=heads)) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent)
        writer.write(f"GET /x HTTP/1.1\r\n{lines}\r\n".encode())
        assert (await read_head(reader)).status == 204
    assert sorted(heads[0].headers) == sorted(
        [
            ("Host", hub.removeprefix("http://")),
            *[sent[index] for index in (1, 2, 3, 4, 5, 12)],
            ("Authorization", "Bearer hf_of_the_caller"),
        ]
    )


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (None, "Bearer hf_gateway_token_of_the_tests"),
        ("Bearer hf_of_the_caller", "Bearer hf_of_the_caller"),
        (f"Basic {b64encode(b'alice:hf_of_the_caller').decode()}", "Bearer hf_of_the_caller"),
    ],
)
async def test_the_token_of_whoever_the_call_is_made_as_arrives(sent: str | None, arrives: str, tmp_path: Path) -> None:
    heads: list[Head] = []
    async with (
        wire_server(answers("204 No Content", heads=heads)) as hub,
        gateway_for(hub, tmp_path) as gateway,
        gateway.http.get(f"{gateway.url}/x", headers={"Authorization": sent} if sent else {}) as response,
    ):
        assert response.status == 204
    assert heads[0].all("Authorization") == [arrives]


async def test_an_answer_passes_but_for_what_the_hub_says_of_its_own_origin(tmp_path: Path) -> None:
    said = (
        "299 Odd Reason\nX-Request-Id: Root=1-of-the-hub\nx-lower: 1\nX-Twice: a\nX-Twice: b\nDate: then\n"
        "Server: moon\n"
        "Set-Cookie: token=secret\nStrict-Transport-Security: max-age=1\nAlt-Svc: h3\n"
        "Access-Control-Allow-Origin: https://evil.example\nConnection: X-Hop\nX-Hop: 1\nContent-Length: 3"
    )
    async with (
        wire_server(answers(said, b"abc")) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        writer.write(b"GET /x HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\n\r\n")
        head = await read_head(reader)
        assert await read_body(reader, head) == b"abc"
    assert head.line == "HTTP/1.1 299 Odd Reason"
    assert [(name.lower(), value) for name, value in head.headers] == [
        ("x-request-id", "Root=1-of-the-hub"),
        ("x-lower", "1"),
        ("x-twice", "a"),
        ("x-twice", "b"),
        ("date", "then"),
        ("server", "moon"),
        ("content-length", "3"),
        ("x-hfproxy-request-id", "mine"),
    ]


@pytest.mark.parametrize(
    ("asked", "said", "told"),
    [
        ("HEAD", "200 OK\nContent-Length: 123456789012\nContent-Type: a/b", "123456789012"),
        ("GET", "304 Not Modified\nETag: W/1", None),
        ("DELETE", "204 No Content", None),
        ("HEAD", "404 Not Found\nContent-Length: 9", "9"),
    ],
)
async def test_an_answer_without_a_body_ends_with_its_headers(
    asked: str, said: str, told: str | None, tmp_path: Path
) -> None:
    async with (
        wire_server(answers(said)) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        for _ in range(2):  # the second answer shows that the first one ended where it should
            writer.write(f"{asked} /x HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await read_head(reader)
            assert head.line == f"HTTP/1.1 {said.splitlines()[0]}"
            assert head.get("Content-Length") == told
            assert head.get("Transfer-Encoding") is None


CODED = b"\x1f\x8b\x08\x00not really gzip"


async def test_coded_bodies_stay_coded_both_ways(tmp_path: Path) -> None:
    bodies: list[bytes] = []
    heads: list[Head] = []
    said = f"200 OK\nContent-Encoding: gzip\nContent-Length: {len(CODED)}"
    async with (
        wire_server(answers(said, CODED, heads=heads, bodies=bodies)) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        lines = f"Host: localhost\r\nContent-Encoding: gzip\r\nContent-Length: {len(CODED)}"
        writer.write(f"POST /a/b.git/git-upload-pack HTTP/1.1\r\n{lines}\r\n\r\n".encode() + CODED)
        head = await read_head(reader)
        assert head.get("Content-Encoding") == "gzip"
        assert await read_body(reader, head) == CODED
    assert bodies == [CODED]
    assert heads[0].get("Content-Encoding") == "gzip"
    assert heads[0].get("Content-Length") == str(len(CODED))


async def test_a_chunked_body_stays_chunked_both_ways(tmp_path: Path) -> None:
    bodies: list[bytes] = []
    heads: list[Head] = []
    said = "200 OK\nTransfer-Encoding: chunked"
    async with (
        wire_server(answers(said, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", heads=heads, bodies=bodies)) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        writer.write(b"PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\n\r\n")
        head = await read_head(reader)
        assert (head.get("Transfer-Encoding"), head.get("Content-Length")) == ("chunked", None)
        assert await read_chunked(reader) == b"abcde"
    assert bodies == [b"wxyz"]
    assert (heads[0].get("Transfer-Encoding"), heads[0].get("Content-Length")) == ("chunked", None)


async def test_a_delete_keeps_its_body(tmp_path: Path) -> None:
    bodies: list[bytes] = []
    async with (
        wire_server(answers("200 OK\nContent-Length: 2", b"OK", bodies=bodies)) as hub,
        gateway_for(hub, tmp_path) as gateway,
    ):
        body = {"name": "demo", "organization": "acme"}
        async with gateway.http.delete(f"{gateway.url}/api/repos/delete", json=body) as response:
            assert await response.text() == "OK"
    assert bodies == [b'{"name": "demo", "organization": "acme"}']


async def test_an_answer_to_a_client_of_http_1_0_ends_with_its_connection(tmp_path: Path) -> None:
    async with (
        wire_server(answers("200 OK\nTransfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n")) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        writer.write(b"GET /x HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head = await read_head(reader)
        assert head.get("Transfer-Encoding") is None
        async with asyncio.timeout(30):
            assert await reader.read() == b"abc"


async def test_long_headers_pass_both_ways(tmp_path: Path) -> None:
    heads: list[Head] = []
    long = "x" * 40000
    async with (
        wire_server(answers(f"200 OK\nContent-Length: 0\nX-Long: {long}", heads=heads)) as hub,
        gateway_for(hub, tmp_path) as gateway,
        wire(gateway.url) as (reader, writer),
    ):
        writer.write(f"GET /x HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n".encode())
        assert (await read_head(reader)).get("X-Long") == long
    assert heads[0].get("X-Long") == long
