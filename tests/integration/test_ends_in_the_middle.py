"""The process ends in the middle of writes, politely or not: what was confirmed is there, and the trail has it all."""

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import Sandbox, running_sandbox
from tests.support.serving import Serving, serving
from tests.support.waiting import PATIENCE_S

WRITERS = 8
CONFIRMED_BEFORE = 40
TOKEN = "hf_sandbox_alice"


class Writers:
    """Create repositories one after another until the gateway is gone, and remember what it confirmed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.confirmed: list[str] = []
        self.broken = 0
        self._enough = asyncio.Event()
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(WRITERS)]

    async def enough(self) -> None:
        """Returns in the middle of their work."""
        async with asyncio.timeout(PATIENCE_S):
            await self._enough.wait()

    async def ended(self) -> None:
        """Returns once all of them have found the gateway gone. Raises what they did not expect."""
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*self._tasks)

    async def _write(self, writer: int) -> None:
        async with aiohttp.ClientSession() as session:
            for number in range(10_000):
                body = {"type": "model", "name": f"alice/w{writer}-{number}", "private": True}
                try:
                    async with session.post(f"{self._url}/api/repo", json=body) as response:
                        assert response.status == 200, await response.text()
                        self.confirmed.append((await response.json())["id"])
                except aiohttp.ClientError:
                    self.broken += 1
                    return
                if len(self.confirmed) >= CONFIRMED_BEFORE:
                    self._enough.set()


async def test_after_sigterm_in_the_middle_of_writes_nothing_is_unconfirmed(tmp_path: Path) -> None:
    async with running_sandbox(SandboxConfig()) as hub:
        async with serving(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN) as server:
            writers = Writers(server.url)
            await writers.enough()
            assert await server.end(signal.SIGTERM) == 0
            await writers.ended()
        assert "Traceback" not in server.printed()
        # Who was answered was told the truth, and nothing happened behind anybody's back.
        assert await on_the_hub(hub) == set(writers.confirmed)
        async with serving(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN) as server:
            trail = await audit_trail(server)
        assert {(write["repo"], write["outcome"]) for write in trail} == {(name, "done") for name in writers.confirmed}


async def test_after_kill_9_in_the_middle_of_writes_the_confirmed_is_there_and_the_trail_has_what_was_sent(
    tmp_path: Path,
) -> None:
    async with running_sandbox(SandboxConfig()) as hub:
        for round_number in range(2):
            async with serving(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN) as server:
                if round_number:
                    await delete_all(server, await on_the_hub(hub))
                before = len(await audit_trail(server))
                writers = Writers(server.url)
                await writers.enough()
                assert await server.end(signal.SIGKILL) == -signal.SIGKILL
                await writers.ended()
            there = await on_the_hub(hub)
            assert set(writers.confirmed) <= there
            async with serving(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN) as server:
                trail = (await audit_trail(server))[: -before or None]
                async with aiohttp.ClientSession() as session, session.get(f"{server.url}/api/account") as response:
                    assert response.status == 200
            done = {write["repo"] for write in trail if write["outcome"] == "done"}
            unknown = {write["repo"] for write in trail if write["outcome"] == "unknown"}
            assert Counter(write["outcome"] for write in trail).keys() <= {"done", "unknown"}
            assert set(writers.confirmed) <= done <= there
            assert there <= done | unknown
            # No more is unknown than could be under way at once.
            assert len(unknown) <= WRITERS


async def on_the_hub(hub: Sandbox) -> set[str]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url: str | None = f"{hub.url}/api/models?author=alice&limit=1000"
    names: set[str] = set()
    async with aiohttp.ClientSession(headers=headers) as session:
        while url is not None:
            async with session.get(url) as response:
                assert response.status == 200
                names |= {info["id"] for info in await response.json()}
                url = str(response.links["next"]["url"]) if "next" in response.links else None
    return names


async def audit_trail(server: Serving) -> list[dict[str, Any]]:
    """Every write, the newest first."""
    writes: list[dict[str, Any]] = []
    cursor: str | None = ""
    async with aiohttp.ClientSession() as session:
        while cursor is not None:
            query = f"limit=1000&cursor={cursor}" if cursor else "limit=1000"
            async with session.get(f"{server.url}/-/audit?{query}") as response:
                assert response.status == 200, await response.text()
                page = await response.json()
            writes += page["writes"]
            cursor = page["next"]
    return writes


async def delete_all(server: Serving, names: set[str]) -> None:
    async with aiohttp.ClientSession() as session:
        for name in names:
            async with session.delete(f"{server.url}/api/repo", json={"type": "model", "name": name}) as response:
                assert response.status == 200
