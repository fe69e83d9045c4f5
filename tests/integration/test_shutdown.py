"""How a process ends: what runs is finished, what is new is refused, a second signal ends it at once."""

import asyncio
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hfproxy.local_authority import make_certificate
from tests.support.command import environment
from tests.support.scripted_hub import Asked, ScriptedHub, says, scripted_hub
from tests.support.waiting import PATIENCE_S, eventually, free_port

ALICE = says(200, b'{"type": "user", "name": "alice", "fullname": "Alice", "orgs": []}')
CALLERS = 40


class SlowHub:
    """Answers nothing until it is released."""

    def __init__(self) -> None:
        self.arrived, self.release = asyncio.Semaphore(0), asyncio.Event()

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.arrived.release()
        await self.release.wait()
        await ALICE(asked, writer)


@asynccontextmanager
async def _slow_hub() -> AsyncIterator[tuple[SlowHub, ScriptedHub]]:
    slow = SlowHub()

    async def reply(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await slow(asked, writer)

    async with scripted_hub(reply) as hub:
        yield slow, hub


@asynccontextmanager
async def _process(port: int, folder: Path, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`hfproxy serve`, once it listens."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hfproxy", "serve", "--port", str(port)),
        cwd=folder,
        env=environment(**variables),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await eventually(lambda: process.returncode is not None or _accepts(port), what="listening")
        assert process.returncode is None
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
    except OSError:  # also where it was let in while the port was closed, and reset
        return False
    return True


async def _refuses(port: int) -> None:
    await eventually(lambda: _accepts(port), lambda accepts: not accepts, what="refusing connections")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_running_requests_finish_new_connections_are_refused_and_the_exit_code_is_0(
    signum: signal.Signals, secure: bool, tmp_path: Path
) -> None:
    port, context = free_port(), True
    if secure:
        made = make_certificate(tmp_path / "certs", [])
        context = ssl.create_default_context(cafile=made.authority)
    url = f"{'https' if secure else 'http'}://127.0.0.1:{port}/api/account"
    async with (
        _slow_hub() as (slow, hub),
        _process(port, tmp_path, HF_ENDPOINT=hub.url) as process,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=context)) as http,
    ):
        calls = [asyncio.create_task(_status(http, url)) for _ in range(CALLERS)]
        for _ in range(CALLERS):
            await slow.arrived.acquire()
        process.send_signal(signum)
        await _refuses(port)
        assert process.returncode is None
        slow.release.set()
        assert await asyncio.gather(*calls) == [200] * CALLERS
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0


async def _status(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url) as response:
        assert (await response.json())["name"] == "alice"
        return response.status


async def test_a_request_that_never_ends_is_waited_for_no_longer_than_the_settings_say(tmp_path: Path) -> None:
    port = free_port()
    async with (
        _slow_hub() as (slow, hub),
        _process(port, tmp_path, HF_ENDPOINT=hub.url, HFPROXY_SERVER__SHUTDOWN_TIMEOUT="300ms") as process,
        aiohttp.ClientSession() as http,
    ):
        call = asyncio.create_task(_status(http, f"http://127.0.0.1:{port}/api/account"))
        await slow.arrived.acquire()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0
        with pytest.raises(aiohttp.ClientError):
            await call


async def test_idle_connections_do_not_hold_up_the_end(tmp_path: Path) -> None:
    port = free_port()
    async with (
        scripted_hub(ALICE) as hub,
        _process(port, tmp_path, HF_ENDPOINT=hub.url, HFPROXY_SERVER__SHUTDOWN_TIMEOUT="1h") as process,
        aiohttp.ClientSession() as http,
    ):
        assert await _status(http, f"http://127.0.0.1:{port}/api/account") == 200
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0


async def test_a_stop_that_drains_serves_on_lives_and_is_not_ready(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with (
        scripted_hub(ALICE) as hub,
        _process(port, tmp_path, HF_ENDPOINT=hub.url, HFPROXY_SERVER__DRAIN_FOR="1h") as process,
        aiohttp.ClientSession() as http,
    ):
        assert await _status(http, f"{url}/api/account") == 200
        process.send_signal(signal.SIGTERM)
        ready = await eventually(lambda: _answer(http, f"{url}/-/ready"), lambda answer: answer[0] != 200)
        assert ready[1]["checks"]["stopping"] == "RuntimeError: this gateway is about to stop"
        assert (ready[0], ready[1]["code"]) == (503, "NotReady")
        assert (await _answer(http, f"{url}/-/live"))[0] == 200
        async with http.get(f"{url}/api/account") as response:
            assert (response.status, response.headers["Connection"]) == (200, "close")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 128 + signal.SIGTERM


async def _answer(http: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, Any]]:
    async with http.get(url) as response:
        return response.status, await response.json(content_type=None)


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    port = free_port()
    async with (
        _slow_hub() as (slow, hub),
        _process(port, tmp_path, HF_ENDPOINT=hub.url) as process,
        aiohttp.ClientSession() as http,
    ):
        call = asyncio.create_task(_status(http, f"http://127.0.0.1:{port}/api/account"))
        await slow.arrived.acquire()
        process.send_signal(signal.SIGTERM)
        await _refuses(port)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 128 + signal.SIGINT
        with pytest.raises(aiohttp.ClientError):
            await call
