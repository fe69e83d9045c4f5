"""Traces, sent to a collector that listens here."""

import gzip
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.command import environment
from tests.support.gateway import gateway_for
from tests.support.scripted_hub import closes, says, scripted_hub

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collected:
    """What arrived: raw bytes to look for secrets in, and spans by name."""

    def __init__(self) -> None:
        self.raw = b""
        self.spans: dict[str, Any] = {}
        self.service = ""


@asynccontextmanager
async def _collector() -> AsyncIterator[tuple[str, Collected]]:
    collected = Collected()

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        collected.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            collected.service = _attributes(resource.resource)["service.name"]
            for scope in resource.scope_spans:
                collected.spans |= {span.name: span for span in scope.spans}
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", collected
    finally:
        await runner.cleanup()


def _attributes(told: Any) -> Mapping[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in told.attributes}


@pytest.fixture
async def collected(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collected]:
    async with _collector() as (url, collected):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        yield collected


async def test_a_request_and_its_call_to_the_hub_continue_the_callers_trace(
    collected: Collected, tmp_path: Path
) -> None:
    async with (
        scripted_hub(says(200, b'{"name": "alice"}')) as hub,
        gateway_for(hub.url, tmp_path, OPS__TRACES="true") as gateway,
    ):
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        async with gateway.http.get(f"{gateway.url}/api/account?q=1", headers=headers) as response:
            assert response.status == 200
    request, call = collected.spans["GET /api/account"], collected.spans["GET"]
    assert request.trace_id.hex() == call.trace_id.hex() == TRACE
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert call.parent_span_id == request.span_id
    assert hub.asked[0].headers["traceparent"] == f"00-{TRACE}-{call.span_id.hex()}-01"
    assert _attributes(request) == {
        "http.request.method": "GET",
        "http.route": "/api/account",
        "url.path": "/api/account",
        "http.response.status_code": 200,
    }
    assert _attributes(call)["url.path"] == "/api/whoami-v2"
    assert collected.service == "hfproxy"


async def test_no_secret_gets_into_a_span_and_what_fails_is_marked(collected: Collected, tmp_path: Path) -> None:
    secret = "hf_abcdefghijklmnopqrstuvwxyz"
    async with (
        scripted_hub(closes) as hub,
        gateway_for(hub.url, tmp_path, OPS__TRACES="true", UPSTREAM__TOKEN=secret) as gateway,
    ):
        for path in ("/api/account", f"/api/models/{secret}?token={secret}"):
            headers = {"Authorization": f"Bearer {secret}x"}
            async with gateway.http.get(gateway.url + path, headers=headers) as response:
                assert response.status == 502
    assert collected.spans["GET /api/account"].status.code == 2
    assert _attributes(collected.spans["GET"])["error.type"] == "ServerDisconnectedError"
    assert b"/api/models/" in collected.raw
    assert secret.encode() not in collected.raw


def test_a_missing_extra_is_told_at_the_start(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from hfproxy.cli import main; sys.argv[0] = 'hfproxy'; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--upstream", "sandbox", "--port", "0"],
        env=environment(HFPROXY_OPS__TRACES="true"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 78
    assert "hfproxy[otel]" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_of_opentelemetry_is_imported_where_it_is_not_switched_on() -> None:
    code = (
        "import sys; from hfproxy.app import create_app; from hfproxy.settings import Settings; create_app(Settings());"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False).returncode == 0
