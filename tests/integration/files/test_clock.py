"""A wall clock that jumps, ahead or back, makes no old answer fresh and harms no download."""

import asyncio
import os
from pathlib import Path

import aiohttp

from tests.support.clock import WallClock
from tests.support.file_hub import FileHub
from tests.support.serving import serving

MIB = 1024**2
DAY_S = 24 * 3600


async def test_after_a_jump_of_the_clock_branches_are_asked_after_again(hub: FileHub, tmp_path: Path) -> None:
    clock = WallClock(tmp_path / "clock")
    hub.add("config.json", b"0", lfs=False)
    variables = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_gateway", "HFPROXY_FILES__FRESH_FOR": "1h"}
    async with (
        serving(tmp_path, **variables, **clock.environment) as gateway,
        aiohttp.ClientSession() as http,
    ):

        async def read() -> bytes:
            async with http.get(f"{gateway.url}/acme/demo/resolve/main/config.json") as answer:
                assert answer.status == 200
                return await answer.read()

        def push(number: int) -> None:
            hub.repos["acme/demo"].commit = f"{number:040x}"
            hub.add("config.json", b"%d" % number, lfs=False)

        assert await read() == b"0"
        for number, ahead_s in enumerate((-DAY_S, DAY_S, 0), start=1):
            push(number)
            assert await read() == b"%d" % (number - 1), "it is fresh for an hour"
            clock.jump(ahead_s)
            assert await read() == b"%d" % number
        assert "Traceback" not in gateway.printed()


async def test_a_clock_that_jumps_while_a_file_arrives_changes_nothing(hub: FileHub, tmp_path: Path) -> None:
    clock = WallClock(tmp_path / "clock")
    content = os.urandom(6 * MIB)
    hub.add("w.bin", content)
    hub.hold_after = 2 * MIB
    hub.gate.clear()
    async with (
        serving(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN="hf_gateway", **clock.environment) as gateway,
        aiohttp.ClientSession() as http,
    ):

        async def read(ahead_s: float) -> bytes:
            async with http.get(f"{gateway.url}/acme/demo/resolve/main/w.bin") as answer:
                begun = await answer.content.readexactly(MIB)
                clock.jump(ahead_s)
                if ahead_s < 0:
                    hub.gate.set()
                return begun + await answer.read()

        assert await asyncio.gather(read(DAY_S), read(-DAY_S)) == [content, content]
        clock.jump(0)
        assert await read(0) == content
        assert hub.sent_bytes == len(content)
        assert "Traceback" not in gateway.printed()
