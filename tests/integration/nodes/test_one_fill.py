"""A file is fetched once, however many gateways are asked for it at the same time, and whichever of them dies."""

import asyncio
import os
import signal

from hfproxy.storage.blobs import BlobKey
from tests.integration.nodes.conftest import Shared, read
from tests.support.file_hub import FileHub
from tests.support.waiting import eventually

MIB = 1024**2
WEIGHTS = os.urandom(9 * MIB + 321)
# The Hub is held until all is ready for the test; a busy machine takes its time, and nobody is to give up meanwhile.
PATIENT = {"HFPROXY_FILES__STALL_TIMEOUT": "2m"}


async def test_fifty_clients_on_two_gateways_cost_one_download(hub: FileHub, shared: Shared) -> None:
    hub.add("w.bin", WEIGHTS)
    hub.hold_after = 5 * MIB
    hub.gate.clear()
    async with shared.two(**PATIENT) as (a, b):
        asked = [asyncio.create_task(read((a, b)[number % 2].url)) for number in range(50)]
        await eventually(lambda: _followed(a) or _followed(b))
        hub.gate.set()
        bodies = await asyncio.gather(*asked)
    assert {BlobKey.of(body) for body in bodies} == {BlobKey.of(WEIGHTS)}
    assert hub.sent_bytes == len(WEIGHTS)


async def test_when_one_is_killed_the_other_finishes(hub: FileHub, shared: Shared) -> None:
    hub.add("w.bin", WEIGHTS)
    hub.hold_after = 5 * MIB
    hub.gate.clear()
    async with shared.two(HFPROXY_FILES__CONNECTIONS="1", **PATIENT) as (a, b):
        cut_off = asyncio.create_task(read(a.url))
        await eventually(lambda: hub.sent_bytes == 5 * MIB)
        follows = asyncio.create_task(read(b.url))
        await eventually(lambda: _followed(b))
        await a.end(signal.SIGKILL)
        hub.gate.set()
        (lost,) = await asyncio.gather(cut_off, return_exceptions=True)
        assert isinstance(lost, Exception)
        assert BlobKey.of(await follows) == BlobKey.of(WEIGHTS)
        sent = hub.sent_bytes
        assert BlobKey.of(await read(b.url)) == BlobKey.of(WEIGHTS)
        assert hub.sent_bytes == sent
    # Of what the dead one had, the block that it was at is fetched again, and what the Hub had sent it and it had not
    # read yet.
    assert sent <= len(WEIGHTS) + 5 * MIB


def _followed(node: object) -> bool:
    return any(event["event"] == "fill.followed" for event in node.events())  # type: ignore[attr-defined]
