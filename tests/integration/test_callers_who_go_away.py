"""A write is done to its end, though its caller hangs up in the middle of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.gateway import Gateway, gateway_for
from tests.support.held_hub import HeldHub, held_hub
from tests.support.scripted_hub import Asked, says
from tests.support.waiting import PATIENCE_S

MADE = says(200, b'{"name": "alice/demo", "url": "https://huggingface.co/alice/demo"}')
DONE = says(200, b"{}")
GATED = {"type": "model", "name": "alice/demo", "private": True, "gated": "manual"}
BETTER = {"type": "model", "namespace": "alice/demo", "private": True, "move": "alice/better"}
CREATE_THEN_GATE = [("POST", "/api/repos/create"), ("PUT", "/api/models/alice/demo/settings")]


async def _reply(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await (MADE if asked.raw_path == "/api/repos/create" else DONE)(asked, writer)


@pytest.fixture
async def hub() -> AsyncIterator[HeldHub]:
    async with held_hub(_reply) as running:
        yield running


def _calls(hub: HeldHub) -> list[tuple[str, str]]:
    return [(asked.method, asked.raw_path) for asked in hub.asked]


async def _call_and_hang_up(gateway: Gateway, hub: HeldHub, method: str, body: object) -> None:
    """Returns once the Hub has the first call and the gateway knows that its caller is gone."""
    async with aiohttp.ClientSession() as caller:
        call = asyncio.create_task(caller.request(method, f"{gateway.url}/api/repo", json=body))
        await hub.arrived(1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    async with asyncio.timeout(PATIENCE_S):
        while 'status="499"' not in await _metrics(gateway):
            pass


async def _metrics(gateway: Gateway) -> str:
    async with gateway.http.get(f"{gateway.url}/-/metrics") as response:
        return await response.text()


async def _trail(gateway: Gateway, *, writes: int) -> list[tuple[str, str]]:
    """Action and outcome of all writes, the first one first, once so many have ended."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with gateway.http.get(f"{gateway.url}/-/audit") as response:
                told: list[dict[str, Any]] = (await response.json())["writes"]
            if sum(write["finished_at"] is not None for write in told) >= writes:
                return [(write["action"], write["outcome"]) for write in reversed(told)]


async def test_a_new_repository_gets_its_gate_though_its_caller_hung_up(hub: HeldHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path) as gateway:
        await _call_and_hang_up(gateway, hub, "POST", GATED)
        hub.release()
        told = await _trail(gateway, writes=2)
    assert _calls(hub)[:2] == CREATE_THEN_GATE
    assert json.loads(hub.asked[1].body) == {"gated": "manual"}
    assert told == [("repo.create", "done"), ("repo.settings", "done")]


async def test_a_change_of_two_steps_is_done_though_its_caller_hung_up(hub: HeldHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path) as gateway:
        await _call_and_hang_up(gateway, hub, "PUT", BETTER)
        hub.release()
        told = await _trail(gateway, writes=2)
    assert _calls(hub)[:2] == [("PUT", "/api/models/alice/demo/settings"), ("POST", "/api/repos/move")]
    assert told == [("repo.settings", "done"), ("repo.move", "done")]


async def test_the_trail_tells_what_came_of_a_deletion_whose_caller_hung_up(hub: HeldHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path) as gateway:
        await _call_and_hang_up(gateway, hub, "DELETE", {"type": "model", "name": "alice/demo"})
        hub.release()
        assert await _trail(gateway, writes=1) == [("repo.delete", "done")]


async def test_a_gateway_that_stops_waits_for_writes_without_callers(hub: HeldHub, tmp_path: Path) -> None:
    running = gateway_for(hub.url, tmp_path)
    gateway = await running.__aenter__()
    await _call_and_hang_up(gateway, hub, "POST", GATED)
    stopping = asyncio.create_task(_leave(running))
    async with asyncio.timeout(PATIENCE_S):
        while await _listens(gateway):
            pass
    assert not stopping.done()
    hub.release()
    await stopping
    assert _calls(hub)[:2] == CREATE_THEN_GATE
    async with gateway_for(hub.url, tmp_path) as later:
        assert await _trail(later, writes=2) == [("repo.create", "done"), ("repo.settings", "done")]


async def test_a_gateway_that_stops_waits_no_longer_than_the_settings_say(hub: HeldHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path, SERVER__SHUTDOWN_TIMEOUT="200ms") as gateway:
        await _call_and_hang_up(gateway, hub, "POST", GATED)
    async with gateway_for(hub.url, tmp_path) as later:
        assert await _trail(later, writes=1) == [("repo.create", "unknown")]


async def test_writes_without_callers_count_among_those_under_way(hub: HeldHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path, SERVER__MAX_REQUESTS_IN_FLIGHT="1") as gateway:
        await _call_and_hang_up(gateway, hub, "POST", GATED)
        async with gateway.http.post(f"{gateway.url}/api/repo", json=GATED) as response:
            assert (response.status, (await response.json())["code"]) == (503, "Overloaded")
        hub.release()
        assert await _trail(gateway, writes=2) == [("repo.create", "done"), ("repo.settings", "done")]


async def _leave(running: AbstractAsyncContextManager[Gateway]) -> None:
    await running.__aexit__(None, None, None)


async def _listens(gateway: Gateway) -> bool:
    port = int(gateway.url.rpartition(":")[2])
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
