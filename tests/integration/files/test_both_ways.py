"""Answers given at once are those of the long way: the same head, body, log line and counts, for the same callers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from hfproxy.downstream.access import Role
from hfproxy.downstream.at_once import QuickLane
from hfproxy.logs import set_up_logging
from hfproxy.settings import LoggingSettings
from tests.integration.access.test_callers import keys_of, make_key
from tests.support.file_hub import COMMIT, FileHub
from tests.support.gateway import Gateway, gateway_for
from tests.support.logging_state import logging_as_it_was
from tests.support.raw_http import Answer, Connection, connection_to
from tests.support.serving import whole_lines
from tests.support.waiting import PATIENCE_S, eventually

SMALL, LARGE = b'{"a": 1}\n' * 300, b"weights" * 100_000
ODD = "a%20b%25/%E2%82%AC.json"
# Nothing is made of it, and nothing is known of it.
LONG = "X-Nobody-Knows: 1"


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each request that was looked at, whether it was answered at once."""
    seen: list[bool] = []
    answer = QuickLane.answer

    def watched(self: QuickLane, *args: Any, **named: Any) -> Any:
        answered = answer(self, *args, **named)
        seen.append(answered is not None)
        return answered

    monkeypatch.setattr(QuickLane, "answer", watched)
    return seen


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Where `write_log` writes; afterwards logging is as it was."""
    with logging_as_it_was():
        yield tmp_path / "gateway.log"


def write_log(file: Path) -> None:
    """Logs as `serve` does. To be called in the test itself, since pytest adds handlers of its own when one begins."""
    set_up_logging(LoggingSettings.model_validate({"format": "json", "file": file}), secrets=["c0ffee-c0ffee"])


@asynccontextmanager
async def serving(hub: FileHub, root: Path, **variables: str) -> AsyncIterator[Gateway]:
    hub.add("config.json", SMALL, lfs=False)
    hub.add("weights.bin", LARGE)
    hub.add("small.bin", SMALL[:-1])
    hub.add("a b%/€.json", SMALL)
    async with gateway_for(hub.url, root, **{"XET__MODE": "http", **variables}) as gateway:
        yield gateway


def request(method: str, path: str, *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()


async def ask(connection: Connection, raw: bytes) -> Answer:
    await connection.send(raw)
    answer = await connection.answer(of_head=raw.startswith(b"HEAD"))
    assert answer is not None
    return answer


async def ask_at_once(connection: Connection, raw: bytes, lanes: list[bool]) -> Answer:
    """The answer of the quick lane, which the first requests of a connection and for a file do not get."""
    return await eventually(lambda: ask(connection, raw), lambda _: lanes[-1:] == [True])


async def lines_of(file: Path, request_id: str, many: int) -> list[dict[str, Any]]:
    """The request's lines, as soon as there are so many."""

    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in whole_lines(file)]
        return [line for line in lines if line.get("request_id") == request_id and "status" in line]

    return await eventually(found, lambda lines: len(lines) >= many)


def comparable(line: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, None if name in {"timestamp", "duration_s"} else value) for name, value in line.items()]


def told(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


Compare = Callable[..., Awaitable[Answer]]


@pytest.fixture
def compare(lanes: list[bool], log_file: Path) -> Compare:
    """Asks the same on both ways and compares all that comes of it; gives the answer."""
    numbers = count()

    async def compared(gateway: Gateway, method: str, path: str, *headers: str) -> Answer:
        write_log(log_file)
        async with connection_to(gateway.url) as connection:
            await ask(connection, request("GET", path, *headers))
            await ask_at_once(connection, request(method, path, *headers), lanes)
            lanes.clear()
            request_id = f"X-Request-Id: both-{next(numbers)}"
            quick = await ask(connection, request(method, path, request_id, *headers))
            slow = await ask(connection, request(method, path, request_id, LONG, *headers))
            assert lanes == [True, False]
        assert (quick.status, quick.body) == (slow.status, slow.body)
        assert told(quick) == told(slow)
        at_once, long_way = await lines_of(log_file, request_id.partition(" ")[2], 2)
        assert comparable(at_once) == comparable(long_way)
        return quick

    return compared


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "/acme/demo/resolve/main/config.json",
        f"/acme/demo/resolve/{COMMIT}/config.json",
        "/acme/demo/resolve/main/config.json?download=true",
        "/acme/demo/resolve/main/small.bin",
        f"/acme/demo/resolve/main/{ODD}",
    ],
)
async def test_a_small_file(hub: FileHub, tmp_path: Path, compare: Compare, method: str, path: str) -> None:
    async with serving(hub, tmp_path / "data") as gateway:
        answer = await compare(gateway, method, path, "User-Agent: x", "Accept: */*", "Accept-Encoding: gzip")
    assert answer.status == 200
    assert answer.body == (b"" if method == "HEAD" else SMALL[:-1] if "small" in path else SMALL)
    assert answer.headers["cache-status"] == "hfproxy; hit"


async def test_the_head_of_a_large_one(hub: FileHub, tmp_path: Path, compare: Compare) -> None:
    async with serving(hub, tmp_path / "data") as gateway:
        answer = await compare(gateway, "HEAD", "/acme/demo/resolve/main/weights.bin")
    assert answer.headers["content-length"] == str(len(LARGE))


@pytest.mark.parametrize("mode", ["relay", "direct", "http"])
@pytest.mark.parametrize(
    ("method", "path"), [("HEAD", "weights.bin"), ("HEAD", "small.bin"), ("GET", "small.bin"), ("GET", "config.json")]
)
async def test_what_is_offered_by_xet(
    hub: FileHub, tmp_path: Path, compare: Compare, mode: str, method: str, path: str
) -> None:
    trusting = {"ACCESS__ANONYMOUS": "reader", "SERVER__TRUSTED_PROXIES": '["127.0.0.1/32", "::1/128"]'}
    async with serving(hub, tmp_path / "data", XET__MODE=mode, SERVER__PATH_PREFIX="/hub", **trusting) as gateway:
        for base, below, headers in (
            ("http://localhost", "", ()),
            ("http://localhost/hub", "/hub", ()),
            ("https://hub.acme.example", "", ("X-Forwarded-Host: hub.acme.example", "X-Forwarded-Proto: https")),
        ):
            answer = await compare(gateway, method, f"{below}/acme/demo/resolve/main/{path}", *headers)
            offered = mode != "http" and path != "config.json"
            assert ("x-xet-hash" in answer.headers) is ("link" in answer.headers) is offered
            assert not offered or f"<{base}/api/models/acme/demo/xet-read-token/" in answer.headers["link"]


async def test_where_an_offer_hangs_on_the_caller_it_is_made_on_the_long_way(
    hub: FileHub, tmp_path: Path, lanes: list[bool]
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "no-pickle"\neffect = "deny"\nfiles = ["*.pkl"]\n')
    large, git = (request("HEAD", f"/acme/demo/resolve/main/{name}") for name in ("weights.bin", "config.json"))
    async with (
        serving(hub, tmp_path / "data", XET__MODE="relay", POLICY__FILE=str(rules)) as gateway,
        connection_to(gateway.url) as connection,
    ):
        await ask_at_once(connection, git, lanes)
        for _ in range(3):
            answer = await ask(connection, large)
            assert (answer.status, "x-xet-hash" in answer.headers, lanes[-1]) == (200, False, False)


async def test_nothing_is_offered_by_xet_while_the_hub_is_away(
    hub: FileHub, tmp_path: Path, compare: Compare, lanes: list[bool]
) -> None:
    path = "/acme/demo/resolve/main/weights.bin"
    kept = {"FILES__FRESH_FOR": "1h", "FILES__RIGHTS_FOR": "1h"}
    async with (
        serving(hub, tmp_path / "data", XET__MODE="relay", **kept) as gateway,
        connection_to(gateway.url) as connection,
    ):
        assert "x-xet-hash" in (await ask_at_once(connection, request("HEAD", path), lanes)).headers
        hub.down = True
        await ask(connection, request("GET", "/acme/demo/resolve/main/never-asked.bin"))
        assert "x-xet-hash" not in (await compare(gateway, "HEAD", path)).headers


async def test_callers_of_every_kind(hub: FileHub, tmp_path: Path, compare: Compare) -> None:
    path = "/acme/demo/resolve/main/config.json"
    secret = await make_key(tmp_path / "data", role=Role.READER)
    async with serving(hub, tmp_path / "data", ACCESS__ANONYMOUS="reader") as gateway:
        for headers in (
            [],
            [f"Authorization: Bearer {secret}"],
            [f"X-API-Key: {secret}"],
            ["Authorization: Bearer hf_somebodys_own"],
            ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"],
        ):
            await compare(gateway, "GET", path, *headers)


async def test_what_every_line_of_a_process_says(
    hub: FileHub, tmp_path: Path, compare: Compare, log_file: Path
) -> None:
    with structlog.contextvars.bound_contextvars(worker=3):
        async with serving(hub, tmp_path / "data") as gateway:
            await compare(gateway, "GET", "/acme/demo/resolve/main/config.json")
    lines = [json.loads(line) for line in log_file.read_text().splitlines()]
    assert {line["worker"] for line in lines if line["event"] == "request.finished"} == {3}


async def test_a_connection_on_which_several_ask(hub: FileHub, tmp_path: Path, lanes: list[bool]) -> None:
    path = "/acme/demo/resolve/main/config.json"
    key = await make_key(tmp_path / "data", role=Role.READER)
    async with (
        serving(hub, tmp_path / "data", SERVER__TRUSTED_PROXIES='["127.0.0.1/32", "::1/128"]') as gateway,
        connection_to(gateway.url) as connection,
    ):
        known, none = request("GET", path, f"X-API-Key: {key}"), request("GET", path, "X-Request-Id: not-a-key")
        other = request("GET", path, "X-Request-Id: 1", f"X-API-Key: {key}")
        await ask_at_once(connection, known, lanes)
        for raw, status in ((none, 401), (known, 200), (other, 200), (none, 401), (other, 200)):
            assert (await ask(connection, raw)).status == status
            assert lanes[-1] == (status == 200)


async def test_behind_a_trusted_proxy_and_below_a_prefix(hub: FileHub, tmp_path: Path, compare: Compare) -> None:
    async with serving(
        hub,
        tmp_path / "data",
        ACCESS__ANONYMOUS="reader",
        SERVER__TRUSTED_PROXIES='["127.0.0.1/32", "::1/128"]',
        SERVER__PATH_PREFIX="/datasets",
    ) as gateway:
        forwarded = ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-Host: hub.acme.example", "X-Forwarded-Proto: https"]
        answer = await compare(gateway, "GET", "/acme/demo/resolve/main/config.json", *forwarded)
        assert answer.body == SMALL
        # Below the prefix it is the model, however much it looks like a data set.
        below = await compare(gateway, "GET", "/datasets/acme/demo/resolve/main/config.json", *forwarded)
        assert below.body == SMALL


async def test_it_is_counted_alike(hub: FileHub, tmp_path: Path, lanes: list[bool]) -> None:
    async with serving(hub, tmp_path / "data") as gateway, connection_to(gateway.url) as connection:
        raw = request("GET", "/acme/demo/resolve/main/config.json", "X-Request-Id: 1")
        await ask_at_once(connection, raw, lanes)
        before = await counts(gateway)
        answer = await ask_at_once(connection, raw, lanes)
        quick = await counts(gateway)
        await ask(connection, raw.replace(b"\r\n\r\n", f"\r\n{LONG}\r\n\r\n".encode()))
        slow = await counts(gateway)
    size = len(answer.raw)
    assert difference(before, quick) == difference(quick, slow) == {"requests": 1, "durations": 1, "bytes": size}


async def counts(gateway: Gateway) -> dict[str, float]:
    async with gateway.http.get(f"{gateway.url}/-/metrics") as answer:
        text = await answer.text()
    names = {
        "hfproxy_requests_total": "requests",
        "hfproxy_request_duration_seconds_count": "durations",
        "hfproxy_sent_bytes_total": "bytes",
    }
    return {
        names[sample.name]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in names and sample.labels["route"] == "/{file}/resolve/{rest}"
    }


def difference(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Range: bytes=0-1"], 206),
        (['If-None-Match: "x"'], 200),
        (["If-None-Match: *"], 304),
        (["Origin: https://elsewhere.example"], 200),
        (["Accept: application/json, Application/vnd.xet-fileinfo+json;q=1"], 200),
        (["Connection: close"], 200),
        (["Expect: 100-continue"], 100),
        (["Content-Length: 0"], 200),
        (["Authorization: Digest x"], 401),
        (["Authorization: Bearer hfp_nobodys"], 401),
        (["Host: a b"], 400),
    ],
)
async def test_what_is_out_of_the_ordinary_takes_the_long_way(
    hub: FileHub, tmp_path: Path, lanes: list[bool], headers: list[str], status: int
) -> None:
    path = "/acme/demo/resolve/main/config.json"
    async with serving(hub, tmp_path / "data") as gateway, connection_to(gateway.url) as connection:
        await ask_at_once(connection, request("GET", path), lanes)
        lanes.clear()
        raw = request("GET", path, *headers)
        if headers[0].startswith("Host"):
            raw = raw.replace(b"Host: localhost\r\n", b"")
        await connection.send(raw)
        answer = await connection.answer(of_head=status == 100)
    assert answer is not None
    assert answer.status == status
    assert True not in lanes


async def test_who_may_not_see_it_is_told_by_the_hub_however_hot_it_is(
    hub: FileHub, tmp_path: Path, lanes: list[bool]
) -> None:
    async with serving(hub, tmp_path / "data") as gateway, connection_to(gateway.url) as connection:
        hub.repos["acme/demo"].tokens = {"hf_friend"}
        path = "/acme/demo/resolve/main/config.json"
        friend = request("GET", path, "Authorization: Bearer hf_friend")
        await ask_at_once(connection, friend, lanes)
        for headers in ([], ["Authorization: Bearer hf_stranger"]):
            lanes.clear()
            answer = await ask(connection, request("GET", path, *headers))
            assert answer.status in {401, 404}
            assert lanes == [False]
        assert (await ask_at_once(connection, friend, lanes)).body == SMALL


async def test_a_limited_key_and_a_revoked_one(hub: FileHub, tmp_path: Path, lanes: list[bool]) -> None:
    root = tmp_path / "data"
    for_others = await make_key(root, "others", role=Role.READER, repos=["elsewhere/*"])
    async with serving(hub, root) as gateway, connection_to(gateway.url) as connection:
        key = await make_key(root, "mine", role=Role.READER)
        path = "/acme/demo/resolve/main/config.json"
        await ask_at_once(connection, request("GET", path, f"X-API-Key: {key}"), lanes)
        refused = await ask(connection, request("GET", path, f"X-API-Key: {for_others}"))
        assert refused.status == 403
        async with asyncio.timeout(PATIENCE_S):
            async with keys_of(root) as keys:
                await keys.revoke("mine")
            while (await ask(connection, request("GET", path, f"X-API-Key: {key}"))).status != 401:
                pass


async def test_requests_that_come_together_are_answered_in_their_order(
    hub: FileHub, tmp_path: Path, lanes: list[bool]
) -> None:
    async with serving(hub, tmp_path / "data") as gateway, connection_to(gateway.url) as connection:
        small, odd = (f"/acme/demo/resolve/main/{name}" for name in ("config.json", "small.bin"))
        await ask_at_once(connection, request("GET", small), lanes)
        await ask_at_once(connection, request("GET", odd), lanes)
        for _ in range(20):
            await connection.send(request("GET", small) + request("GET", odd) + request("GET", small))
            bodies = []
            for _ in range(3):
                answer = await connection.answer()
                assert answer is not None
                bodies.append(answer.body)
            assert bodies == [SMALL, SMALL[:-1], SMALL]


async def test_a_client_that_does_not_read_is_waited_for(hub: FileHub, tmp_path: Path, lanes: list[bool]) -> None:
    big = b"x" * 200_000
    async with serving(hub, tmp_path / "data") as gateway, connection_to(gateway.url) as connection:
        hub.add("big.txt", big, lfs=False)
        raw = request("GET", "/acme/demo/resolve/main/big.txt")
        await ask_at_once(connection, raw, lanes)
        for _ in range(200):
            await connection.send(raw)
        for _ in range(200):
            answer = await connection.answer()
            assert answer is not None
            assert answer.body == big
    assert False in lanes


async def test_a_full_gateway_refuses_also_what_is_hot(hub: FileHub, tmp_path: Path, lanes: list[bool]) -> None:
    async with (
        serving(hub, tmp_path / "data", SERVER__MAX_REQUESTS_IN_FLIGHT="1") as gateway,
        connection_to(gateway.url) as connection,
        connection_to(gateway.url) as other,
    ):
        hot = request("GET", "/acme/demo/resolve/main/config.json")
        await ask_at_once(connection, hot, lanes)
        hub.gate.clear()
        hub.hold_after = 1000
        await other.send(request("GET", "/acme/demo/resolve/main/weights.bin"))
        async with asyncio.timeout(PATIENCE_S):
            while (await ask(connection, hot)).status != 503:
                pass
        hub.gate.set()
        assert await other.answer() is not None


async def test_no_secret_gets_into_the_line_as_an_id(
    hub: FileHub, tmp_path: Path, lanes: list[bool], log_file: Path
) -> None:
    write_log(log_file)
    async with serving(hub, tmp_path / "data") as gateway, connection_to(gateway.url) as connection:
        path = "/acme/demo/resolve/main/config.json"
        for secret in ("hf_abcdefghijklmnopqrstuvwx", "c0ffee-c0ffee"):
            await ask_at_once(connection, request("GET", path, f"X-Request-Id: {secret}"), lanes)
        await ask_at_once(connection, request("GET", path, 'X-Request-Id: a"b\\c%s'), lanes)
        assert len(await lines_of(log_file, 'a"b\\c%s', 1)) >= 1
    written = log_file.read_text()
    assert "hf_abcdefghijklmnopqrstuvwx" not in written
    assert "c0ffee-c0ffee" not in written
    assert "[redacted]" in written
