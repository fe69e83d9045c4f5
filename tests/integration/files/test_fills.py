"""One download for each blob: followed by all, right to the hash, whatever the Hub does."""

import asyncio
import os
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from hfproxy.errors import HubBroke, HubFailed, HubMisspoke, HubRefused, HubSentWrongBytes, HubSlow
from hfproxy.features.files.fill import FillPolicy
from hfproxy.features.files.fills import Fills
from hfproxy.features.files.lane import Lane
from hfproxy.storage.blobs import BlobKey, BlobStore
from hfproxy.upstream.connecting import hub_session
from hfproxy.upstream.downloads import HubFiles
from hfproxy.upstream.shares import Crowd, Share
from tests.integration.files.conftest import QUICK, OpenBlobs, fills_between, read, way_to
from tests.support.file_hub import FileHub, Trouble
from tests.support.waiting import eventually

MIB = 1024**2
SIZE = 9 * MIB + 12345


@pytest.fixture
def content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def key(hub: FileHub, content: bytes) -> BlobKey:
    return hub.add("w.bin", content)


@pytest.mark.also_in_a_bucket
async def test_fifty_readers_cost_one_download(
    hub: FileHub, fills: Fills, blobs: BlobStore, key: BlobKey, content: bytes
) -> None:
    assert await asyncio.gather(*(read(fills, key, SIZE) for _ in range(50))) == [content] * 50
    await eventually(lambda: key not in fills)
    assert hub.sent_bytes == SIZE
    assert await blobs.size(key) == SIZE


@pytest.mark.parametrize("readers", [1, 20])
async def test_readers_get_bytes_while_they_arrive(
    hub: FileHub, blobs: BlobStore, key: BlobKey, content: bytes, readers: int
) -> None:
    hub.hold_after = 100_000
    hub.gate.clear()
    async with fills_between(hub, blobs, FillPolicy(connections=1)) as fills, AsyncExitStack() as stack:
        for _ in range(readers):
            fill, reader = await stack.enter_async_context(
                fills.following(key, SIZE, way_to("w.bin"), key.digest, start=0, stop=SIZE, whole=True)
            )
        while reader.position < 100_000:
            reader.position = await fill.ready_until(reader)
        assert await fill.blob.read(0, 100_000) == content[:100_000]
        hub.gate.set()


@pytest.mark.also_in_a_bucket
async def test_a_client_that_hangs_up_does_not_end_the_download(
    hub: FileHub, fills: Fills, blobs: BlobStore, key: BlobKey, content: bytes
) -> None:
    hub.hold_after = SIZE // 2
    hub.gate.clear()
    first, *others = [asyncio.create_task(read(fills, key, SIZE)) for _ in range(5)]
    await eventually(lambda: hub.sent_bytes >= SIZE // 2)
    first.cancel()
    hub.gate.set()
    assert await asyncio.gather(*others) == [content] * 4
    assert hub.sent_bytes == SIZE


async def test_a_download_that_all_left_is_finished(hub: FileHub, fills: Fills, blobs: BlobStore, key: BlobKey) -> None:
    hub.hold_after = SIZE // 2
    hub.gate.clear()
    only = asyncio.create_task(read(fills, key, SIZE))
    await eventually(lambda: hub.sent_bytes >= SIZE // 2)
    only.cancel()
    hub.gate.set()
    await eventually(lambda: key not in fills)
    assert await blobs.size(key) == SIZE


@pytest.mark.also_in_a_bucket
async def test_a_large_download_that_all_left_early_stops_and_goes_on_later(
    hub: FileHub, blobs: BlobStore, key: BlobKey, content: bytes
) -> None:
    # One connection: where the disk is slow, others would fetch what lies behind the held bytes, and more than half.
    policy = FillPolicy(connections=1, finish_below_bytes=MIB, patience=QUICK)
    async with fills_between(hub, blobs, policy) as fills:
        hub.hold_after = 3 * MIB + 500
        hub.gate.clear()
        async with fills.following(key, SIZE, way_to("w.bin"), key.digest, start=0, stop=SIZE, whole=True) as (
            fill,
            reader,
        ):
            while reader.position < 3 * MIB:
                reader.position = await fill.ready_until(reader)
        hub.gate.set()
        await eventually(lambda: key not in fills)
        assert await blobs.size(key) is None
        hub.asked.clear()
        assert await read(fills, key, SIZE) == content
        assert min(request.http_range.start or 0 for request in hub.asked if request.method == "GET") >= 3 * MIB


@pytest.mark.also_in_a_bucket
async def test_a_range_of_a_cold_file_fetches_its_blocks_only(
    hub: FileHub, fills: Fills, key: BlobKey, content: bytes
) -> None:
    assert await read(fills, key, SIZE, start=5 * MIB - 10, stop=5 * MIB + 10) == content[5 * MIB - 10 : 5 * MIB + 10]
    await eventually(lambda: key not in fills)
    assert hub.sent_bytes == 2 * MIB
    assert await read(fills, key, SIZE, start=4 * MIB, stop=6 * MIB) == content[4 * MIB : 6 * MIB]
    assert hub.sent_bytes == 2 * MIB, "what is there is not fetched again"
    await eventually(lambda: key not in fills)
    assert await read(fills, key, SIZE) == content
    assert hub.sent_bytes == SIZE


async def test_the_last_bytes_of_a_cold_file_do_not_wait_for_the_rest(
    hub: FileHub, fills: Fills, key: BlobKey, content: bytes
) -> None:
    assert await read(fills, key, SIZE, start=SIZE - 8, stop=SIZE) == content[-8:]
    assert hub.sent_bytes <= MIB


async def test_a_range_far_ahead_does_not_wait_for_the_whole(hub: FileHub, fills: Fills) -> None:
    content = os.urandom(24 * MIB)
    key = hub.add("far.bin", content)
    hub.hold_after = MIB
    hub.gate.clear()
    whole = asyncio.create_task(read(fills, key, len(content), "far.bin"))
    await eventually(lambda: hub.sent_bytes > 0)
    far = await read(fills, key, len(content), "far.bin", start=20 * MIB, stop=20 * MIB + 9)
    assert far == content[20 * MIB :][:9]
    assert not whole.done()
    hub.gate.set()
    assert await whole == content
    assert hub.sent_bytes <= len(content) + MIB


@pytest.mark.parametrize("how", ["cut_after", "reset_after", "stall_after"])
@pytest.mark.also_in_a_bucket
async def test_a_broken_download_goes_on_at_the_missing_byte(
    hub: FileHub, blobs: BlobStore, key: BlobKey, content: bytes, how: str
) -> None:
    async with fills_between(hub, blobs, stall_timeout_s=0.3) as fills:
        hub.trouble = [Trouble(**{how: at}) for at in (1000, 3 * MIB + 7, 8 * MIB)]
        assert await read(fills, key, SIZE) == content
        assert not hub.trouble
        # What the kernel and the HTTP client had not handed over when it broke is fetched again, and nothing else.
        assert SIZE <= hub.sent_bytes <= SIZE + (6 if how == "reset_after" else 2) * MIB


@pytest.mark.also_in_a_bucket
@pytest.mark.parametrize("crowded", [False, True], ids=["alone", "in a crowd"])
async def test_a_run_so_long_that_it_goes_past_the_parser_survives_the_same(
    hub: FileHub, blobs: BlobStore, crowded: bool
) -> None:
    """A fast connection is given runs that `upstream/long_bodies.py` receives."""
    content = os.urandom(100 * MIB + 77)
    key = hub.add("long.bin", content)
    hub.trouble = [Trouble(cut_after=20 * MIB + 5), Trouble(reset_after=30 * MIB), Trouble(stall_after=40 * MIB)]
    blob = await blobs.partial(key, len(content))
    async with hub_session(connect_timeout=timedelta(seconds=60)) as session:
        lane = Lane(
            0,
            len(content),
            ways=[way_to("long.bin")],
            etag=key.digest,
            hub=HubFiles(hub.url, session, answer_timeout_s=60, stall_timeout_s=1),
            blob=blob,
            patience=QUICK,
            share=Share(MIB, Crowd(turns=1, unit_bytes=MIB) if crowded else None),
            progressed=lambda _: None,
        )
        await lane.run()
    await blob.verify()
    await blob.keep()
    await blob.close()
    assert not hub.trouble
    assert len(content) <= hub.sent_bytes <= len(content) + 16 * MIB


async def test_a_server_without_ranges_is_read_from_its_start(
    hub: FileHub, fills: Fills, key: BlobKey, content: bytes
) -> None:
    hub.trouble = [Trouble(cut_after=2 * MIB), Trouble(ignore_range=True)]
    assert await read(fills, key, SIZE) == content


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
async def test_passing_failures_are_waited_out(
    hub: FileHub, fills: Fills, key: BlobKey, content: bytes, status: int
) -> None:
    hub.trouble = [Trouble(status=status, headers={"Retry-After": "0"}), Trouble(status=status)]
    assert await read(fills, key, SIZE) == content


async def test_a_retry_after_that_is_too_long_is_handed_on(hub: FileHub, fills: Fills, key: BlobKey) -> None:
    hub.trouble = [Trouble(status=429, headers={"Retry-After": "300", "RateLimit": '"resolvers";r=0;t=300'})]
    with pytest.raises(HubRefused) as refused:
        await read(fills, key, SIZE)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "300")


@pytest.mark.parametrize(
    ("always", "error"),
    [
        (Trouble(status=500), HubFailed),
        (Trouble(cut_after=0), HubBroke),
        (Trouble(stall_after=0), HubSlow),
        (Trouble(wrong_size=SIZE - 1), HubMisspoke),
        (Trouble(status=418), HubRefused),
    ],
)
async def test_lasting_failures_end_it_and_the_next_reader_succeeds(
    hub: FileHub, blobs: BlobStore, key: BlobKey, content: bytes, always: Trouble, error: type[Exception]
) -> None:
    async with fills_between(hub, blobs, stall_timeout_s=0.3) as fills:
        hub.always = always
        with pytest.raises(error):
            await read(fills, key, SIZE)
        hub.always = None
        assert await read(fills, key, SIZE) == content


@pytest.mark.parametrize("at", [0, SIZE // 2, SIZE - 1])
@pytest.mark.also_in_a_bucket
async def test_wrong_bytes_are_never_complete(
    hub: FileHub, fills: Fills, blobs: BlobStore, key: BlobKey, content: bytes, at: int
) -> None:
    """Readers get all but the last byte, then an error; nothing is kept; the next reader gets the right file."""
    hub.trouble = [Trouble(corrupt_at=at)]
    results = await asyncio.gather(*(read(fills, key, SIZE) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(result, HubSentWrongBytes) for result in results), results
    assert await blobs.size(key) is None
    assert await read(fills, key, SIZE) == content


async def test_a_signed_address_that_ran_out_is_asked_for_anew(
    hub: FileHub, fills: Fills, key: BlobKey, content: bytes
) -> None:
    hub.hold_after = 4 * MIB
    hub.gate.clear()
    reading = asyncio.create_task(read(fills, key, SIZE))
    hub.trouble = [Trouble(cut_after=5 * MIB)]
    await eventually(lambda: hub.sent_bytes >= 4 * MIB)
    hub.signature = "2"
    hub.gate.set()
    assert await reading == content


@pytest.mark.also_in_a_bucket
async def test_it_goes_on_after_the_gateway_was_started_again(
    hub: FileHub, open_blobs: OpenBlobs, key: BlobKey, content: bytes
) -> None:
    hub.hold_after = 6 * MIB + 99
    hub.gate.clear()
    async with open_blobs() as blobs, fills_between(hub, blobs) as fills:
        reading = asyncio.create_task(read(fills, key, SIZE))
        async with fills.following(key, SIZE, way_to("w.bin"), key.digest, start=0, stop=SIZE, whole=True) as (fill, _):
            await eventually(lambda: sum(stop - start for start, stop in fill.blob.missing(0, SIZE)) <= SIZE - 5 * MIB)
    with pytest.raises(asyncio.CancelledError):
        await reading
    hub.gate.set()
    async with open_blobs() as blobs, fills_between(hub, blobs) as fills:
        before = hub.sent_bytes
        assert await read(fills, key, SIZE) == content
        assert hub.sent_bytes - before <= SIZE - 5 * MIB


async def test_slow_connections_are_multiplied(hub: FileHub, fills: Fills) -> None:
    content = os.urandom(40 * MIB)
    key = hub.add("big.bin", content)
    hub.bytes_per_s = MIB
    assert await read(fills, key, len(content), "big.bin") == content
    assert hub.most_bodies_at_once >= 4
    assert hub.sent_bytes == len(content)


async def test_another_reader_lends_their_way_when_the_first_is_closed(hub: FileHub, fills: Fills) -> None:
    content = os.urandom(3 * MIB)
    key = hub.add("w.bin", content, repo="acme/one")
    hub.add("w.bin", content, repo="acme/two")
    hub.repos["acme/one"].tokens = {"nobody has this"}
    async with (
        fills.following(
            key, len(content), way_to("w.bin", "acme/one"), key.digest, start=0, stop=len(content), whole=True
        ) as (_, _reader),
        fills.following(
            key, len(content), way_to("w.bin", "acme/two"), key.digest, start=0, stop=len(content), whole=True
        ) as (fill, reader),
    ):
        while reader.position < len(content):
            reader.position = await fill.ready_until(reader)
