"""What is told of every request: ids on its answer, one line in the log, one count; also when it ends badly."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from hfproxy.downstream.middleware import GATEWAY_REQUEST_ID, hand_back_id, note_end, request_line
from hfproxy.downstream.problems import mark_started, problems
from hfproxy.downstream.sending import send_file
from hfproxy.errors import HubBroke
from hfproxy.metrics import Metrics
from tests.support.waiting import PATIENCE_S

CHUNK = b"x" * 10_000


class Told:
    """Lines of the log, and a way to wait for the one of a request."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    def __call__(self, _logger: Any, _method: str, event: Any) -> Any:
        if event["event"] == "request.finished":
            self.lines.append(dict(event))
            self._news.set()
        raise structlog.DropEvent

    async def line(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            await self._news.wait()
        return self.lines[-1]


@pytest.fixture
def told() -> Any:
    told = Told()
    before = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, told], cache_logger_on_first_use=False)
    yield told
    structlog.configure(**before)


@asynccontextmanager
async def _serving(handler: Callable[..., Any]) -> AsyncIterator[tuple[str, CollectorRegistry]]:
    metrics = Metrics()
    app = web.Application(middlewares=[request_line(metrics), problems])
    app.on_response_prepare.append(mark_started)
    app.on_response_prepare.append(hand_back_id)
    app.router.add_route("*", "/things/{name}", handler)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/things/a", metrics.registry
    finally:
        await runner.cleanup()


async def test_a_streamed_answer_carries_its_id_and_is_counted_to_the_last_byte(told: Told) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(20):
            await response.write(CHUNK)
        return response

    async with _serving(stream) as (url, registry), aiohttp.ClientSession() as http:
        async with http.get(f"{url}?secret=1", headers={"X-Request-Id": "mine-1"}) as response:
            assert response.headers[GATEWAY_REQUEST_ID] == "mine-1"
            assert len(await response.read()) == 20 * len(CHUNK)
        line = await told.line()
        labels = {"method": "GET", "route": "/things/{name}", "status": "200"}
        assert registry.get_sample_value("hfproxy_requests_total", labels) == 1
        assert registry.get_sample_value("hfproxy_requests_in_flight") == 0
    assert line["path"] == "/things/a"
    assert (line["status"], line["outcome"], line["request_id"]) == (200, "ok", "mine-1")
    assert 20 * len(CHUNK) < line["bytes_sent"] < 20 * len(CHUNK) + 1000


async def test_a_file_sent_by_the_kernel_is_counted(told: Told, tmp_path: Any) -> None:
    file = tmp_path / "file"
    file.write_bytes(CHUNK * 100)

    async def send(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 100 * len(CHUNK)
        await response.prepare(request)
        with file.open("rb") as opened:
            await send_file(request, response, opened.fileno(), 0, 100 * len(CHUNK))
        return response

    async with _serving(send) as (url, _), aiohttp.ClientSession() as http, http.get(url) as response:
        assert len(await response.read()) == 100 * len(CHUNK)
        assert GATEWAY_REQUEST_ID in response.headers
        line = await told.line()
    assert 100 * len(CHUNK) < line["bytes_sent"] < 100 * len(CHUNK) + 1000


async def test_a_caller_who_hangs_up_is_499_with_the_bytes_until_then(told: Told) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(CHUNK)

    async with _serving(endless) as (url, registry), aiohttp.ClientSession() as http:
        async with http.get(url) as response:
            await response.content.readexactly(50_000)
            response.close()
        line = await told.line()
        assert registry.get_sample_value("hfproxy_requests_in_flight") == 0
    assert (line["status"], line["outcome"]) == (499, "ClientGone")
    assert line["bytes_sent"] >= 50_000


async def test_a_caller_who_does_not_wait_for_the_answer_is_499(told: Told) -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.StreamResponse:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with _serving(slow) as (url, _):
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
        writer.write(b"GET /things/a HTTP/1.1\r\nHost: x\r\n\r\n")
        await asked.wait()
        writer.close()
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()
        line = await told.line()
    assert (line["status"], line["outcome"], line["bytes_sent"]) == (499, "ClientGone", 0)


async def test_a_caller_who_hangs_up_after_the_last_byte_has_had_the_answer(told: Told) -> None:
    at_work, ended = asyncio.Event(), asyncio.Event()

    async def writes_it_down_afterwards(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=b"done")
        await response.prepare(request)
        await response.write_eof()
        note_end(request, response)
        try:
            at_work.set()
            await asyncio.Event().wait()
        finally:
            ended.set()
        return response

    async with _serving(writes_it_down_afterwards) as (url, _):
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            assert await response.read() == b"done"
            await at_work.wait()
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()
        line = await told.line()
    assert (line["status"], line["outcome"]) == (200, "ok")


async def test_an_answer_that_is_cut_says_why(told: Told) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        await response.write(CHUNK)
        raise HubBroke

    async with _serving(broken) as (url, _), aiohttp.ClientSession() as http:
        async with http.get(url) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        line = await told.line()
    assert line["outcome"] == "HubBroke"
    assert line["bytes_sent"] >= len(CHUNK)


async def test_a_fault_of_ours_is_a_500_without_its_story(told: Told) -> None:
    async def faulty(_request: web.Request) -> web.StreamResponse:
        raise RuntimeError("the inside of the machine")

    async with _serving(faulty) as (url, _), aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 500
        assert "inside" not in await response.text()
        line = await told.line()
        assert json.loads(await response.text())["code"] == line["outcome"] == "Unexpected"
