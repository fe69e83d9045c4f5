"""One caller takes no more than a limit says, and no other caller notices."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.integration.policy.conftest import ALICE, FILES, Ruling, added, commit
from tests.support.file_hub import file_hub
from tests.support.gateway import gateway_for

PATH = "/alice/demo/resolve/main/config.json"
BOB = {"Authorization": "Bearer hf_sandbox_bob"}


async def test_requests_beyond_the_rate_hear_when_there_is_more(ruled: Ruling) -> None:
    hub = await ruled('[[limit]]\nname = "few"\ncallers = ["hub-token"]\nrequests = "3/h"\n')
    for _ in range(3):
        assert (await hub.ask("GET", PATH)).status == 200  # so that it can be answered the quick way
    for _ in range(3):
        assert (await hub.ask("GET", PATH, headers=ALICE)).status == 200
    answer = await hub.ask("GET", PATH, headers=ALICE)
    assert (answer.status, answer.json()["code"], answer.json()["limit"]) == (429, "TooManyRequests", "few")
    assert answer.headers["Retry-After"] == "1200"
    assert answer.headers["RateLimit"] == '"gateway";r=0;t=1200'
    assert answer.headers["RateLimit-Policy"] == '"fixed window";"gateway";q=3;w=3600'
    assert (await hub.ask("GET", PATH, headers=BOB)).status == 200
    assert (await hub.ask("GET", PATH)).status == 200
    assert (await hub.ask("GET", "/-/live", headers=ALICE)).status == 200
    metrics = (await hub.ask("GET", "/-/metrics")).body.decode()
    assert 'hfproxy_policy_limited_total{limit="few",what="requests"} 1.0' in metrics


@pytest.mark.parametrize("size", [200_000, 300_000])
async def test_bytes_go_no_faster_than_the_limit_from_memory_and_from_the_disk(tmp_path: Path, size: int) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[limit]]\nname = "slow"\nbandwidth = "200KiB/s"\n')
    async with file_hub() as hub:
        content = bytes(range(256)) * (size // 256)
        hub.add("w.bin", content)
        async with gateway_for(
            hub.url, tmp_path / "kept", POLICY__FILE=str(rules), ACCESS__ANONYMOUS="reader"
        ) as gateway:
            for _ in range(2):
                begun = time.monotonic()
                async with gateway.http.get(f"{gateway.url}/acme/demo/resolve/main/w.bin") as response:
                    assert await response.read() == content
                # A step of an eighth of a second may go at once.
                assert time.monotonic() - begun >= len(content) / (200 * 1024) - 0.2


async def test_an_upload_is_read_no_faster_than_the_limit(ruled: Ruling) -> None:
    hub = await ruled('[[limit]]\nname = "slow"\nbandwidth = "100KiB/s"\n')
    body = commit(added("a.txt", b"a" * 100_000))
    begun = time.monotonic()
    assert (await hub.ask("POST", "/api/models/alice/demo/commit/main", data=body)).status == 200
    assert time.monotonic() - begun >= len(body) / (100 * 1024) - 0.3


async def test_transfers_wait_for_a_place_and_are_refused_when_none_comes(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[limit]]\nname = "one"\ntransfers = 1\n')
    async with file_hub() as hub:
        content = b"x" * 3_000_000
        hub.add("w.bin", content)
        hub.add("small.txt", b"small", lfs=False)
        hub.hold_after = 1_048_576
        hub.gate.clear()
        async with gateway_for(
            hub.url, tmp_path / "kept", POLICY__FILE=str(rules), ACCESS__ANONYMOUS="reader"
        ) as gateway:
            small = f"{gateway.url}/acme/demo/resolve/main/small.txt"
            async with gateway.http.get(f"{gateway.url}/acme/demo/resolve/main/w.bin") as held:
                assert await held.content.readexactly(1000) == b"x" * 1000
                async with gateway.http.get(small) as refused:
                    assert refused.status == 429
                    assert refused.headers["Retry-After"] == "1"
                    assert (await refused.json(content_type=None))["limit"] == "one"
                async with gateway.http.head(small) as told:
                    assert told.status == 200  # tells of a file, and moves none
                waiting = asyncio.create_task(_read(gateway.http.get(small)))
                hub.gate.set()
                await held.read()
            # It had waited for the place, or came when it was free.
            assert (await waiting) in {(200, b"small"), (429, b"")}
            assert await _read(gateway.http.get(small)) == (200, b"small")


async def _read(asking) -> tuple[int, bytes]:  # type: ignore[no-untyped-def]
    async with asking as response:
        body = await response.read()
        return response.status, body if response.status == 200 else b""


async def test_who_was_sent_to_a_store_is_counted_there(ruled: Ruling) -> None:
    """A ticket is used without a token; the transfer is still its holder's."""
    hub = await ruled('[[limit]]\nname = "nobody"\ncallers = ["anonymous"]\nrequests = "4/h"\n')
    for _ in range(4):
        assert (await hub.ask("GET", PATH)).status == 200
    assert (await hub.ask("GET", PATH)).status == 429
    assert (await hub.ask("GET", "/-/lfs/no-ticket")).status == 404
    assert FILES
