"""Gateways whose Hubs are each other are told so at once; a chain of gateways that ends at a Hub works."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.support.file_hub import file_hub
from tests.support.gateway import gateway_for
from tests.support.scripted_hub import says, scripted_hub
from tests.support.waiting import free_port

PATHS = [
    ("GET", "api/account"),
    ("GET", "api/models/acme/demo"),
    ("GET", "api/models/acme/demo/refs"),
    ("GET", "acme/demo/resolve/main/config.json"),
    ("HEAD", "acme/demo/resolve/main/w.bin"),
    ("GET", "acme/demo/raw/main/config.json"),
    ("POST", "api/repos/create"),
    ("GET", "acme/demo.git/info/refs?service=git-upload-pack"),
]


@pytest.mark.parametrize("length", [1, 2, 3])
async def test_a_ring_of_gateways_answers_and_sends_nothing_round_twice(tmp_path: Path, length: int) -> None:
    ports = [free_port() for _ in range(length)]
    hubs = [f"http://127.0.0.1:{port}" for port in (*ports[1:], ports[0])]
    async with asyncio.timeout(120), contextlib.AsyncExitStack() as stack:
        ring = [
            await stack.enter_async_context(gateway_for(hub, tmp_path / str(port), SERVER__PORT=str(port)))
            for port, hub in zip(ports, hubs, strict=True)
        ]
        for method, path in PATHS:
            body = {"json": {"name": "demo"}} if method == "POST" else {}
            async with ring[0].http.request(method, f"{ring[0].url}/{path}", **body) as answer:
                assert answer.status in {502, 508}, (method, path, await answer.text())
        async with ring[0].http.get(f"{ring[0].url}/-/metrics") as answer:
            asked = [line for line in (await answer.text()).splitlines() if line.startswith("hfproxy_requests_total")]
        answered = sum(float(line.rpartition(" ")[2]) for line in asked)
        # Each request once from its caller and once from the end of the ring; few of them ask more than once.
        assert len(PATHS) < answered < 5 * len(PATHS), asked


async def test_a_chain_of_gateways_reaches_the_hub(tmp_path: Path) -> None:
    async with (
        file_hub() as hub,
        gateway_for(hub.url, tmp_path / "b") as near,
        gateway_for(near.url, tmp_path / "a") as far,
    ):
        hub.add("config.json", b"{}", lfs=False)
        for _ in range(3):
            async with far.http.get(f"{far.url}/acme/demo/resolve/main/config.json") as answer:
                assert (answer.status, await answer.read()) == (200, b"{}")


async def test_what_a_request_has_passed_is_said_with_what_others_said(tmp_path: Path) -> None:
    async with scripted_hub(says(200)) as hub, gateway_for(hub.url, tmp_path) as gateway:
        for told in ("", "front, hfproxy-1"):
            headers = {"CDN-Loop": told} if told else {}
            async with gateway.http.get(f"{gateway.url}/api/models/acme/demo/refs", headers=headers) as answer:
                assert answer.status == 200
        first, second = (asked.headers["cdn-loop"] for asked in hub.asked)
        assert first.startswith("hfproxy-")
        assert second == f"front, hfproxy-1, {first}"
        long = ", ".join(f"hfproxy-{number}" for number in range(17))
        async with gateway.http.get(f"{gateway.url}/api/models", headers={"CDN-Loop": long}) as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (508, "LoopDetected")
        assert len(hub.asked) == 2
