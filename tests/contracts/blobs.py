"""What every store of blobs must do: the sentences of `hfproxy/storage/blobs.py`, one test each.

An implementation subclasses `BlobStoreContract` and gives it `open_store`, which opens the same medium again and again.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from hfproxy.storage.blobs import Algorithm, BlobBusy, BlobKey, BlobStore, StorageFull, WrongBytes
from tests.support.waiting import PATIENCE_S

OpenStore = Callable[..., AbstractAsyncContextManager[BlobStore]]
README = b"---\nlicense: mit\n---\n# Demo\n"


def sample(blocks: float, grain: int) -> tuple[BlobKey, bytes]:
    """Random bytes of so many blocks, and their name."""
    content = os.urandom(int(blocks * grain))
    return BlobKey.of(content), content


async def fill(store: BlobStore, key: BlobKey, content: bytes) -> None:
    """Keeps a blob by way of a partial one."""
    partial = await store.partial(key, len(content))
    await partial.reserve(0, len(content))
    await partial.write(0, content)
    await partial.verify()
    await partial.keep()
    await partial.close()


class BlobStoreContract:
    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError

    @pytest.mark.parametrize("algorithm", list(Algorithm))
    async def test_a_small_blob_is_kept_whole(self, open_store: OpenStore, algorithm: Algorithm) -> None:
        key = BlobKey.of(README, algorithm)
        async with open_store() as store:
            assert await store.open(key) is None
            await store.put(key, README)
            await store.put(key, README)
        async with open_store() as store:
            blob = await store.open(key)
            assert blob is not None
            assert (blob.size_bytes, await blob.read(4, 11)) == (len(README), README[4:11])
            blob.close()
            blob.close()
            assert await store.size(key) == store.used() == len(README)

    async def test_a_store_that_works_has_no_trouble(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.put(BlobKey.of(b"{}"), b"{}")
            assert await store.trouble() is None

    async def test_an_empty_blob_is_a_blob(self, open_store: OpenStore) -> None:
        key = BlobKey.of(b"", Algorithm.GIT)
        assert key.digest == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # git's own name for no bytes
        async with open_store() as store:
            await store.put(key, b"")
            assert await store.size(key) == 0

    async def test_bytes_under_a_wrong_name_are_refused(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            with pytest.raises(WrongBytes):
                await store.put(BlobKey.of(b"right"), b"wrong")
            assert store.used() == 0

    async def test_written_bytes_are_readable_at_once(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            key, content = sample(2.5, store.block_size_bytes)
            partial = await store.partial(key, len(content))
            await partial.reserve(0, len(content))
            await partial.write(0, content[:100])
            assert partial.ready_until(0) == 100
            assert await partial.read(10, 100) == content[10:100]
            assert partial.ready_until(100) == 100
            await partial.close()

    async def test_gaps_are_named_to_the_byte(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            grain = store.block_size_bytes
            key, content = sample(4.5, grain)
            partial = await store.partial(key, len(content))
            await partial.reserve(0, len(content))
            assert list(partial.missing(0, len(content))) == [(0, len(content))]
            assert list(partial.missing(grain + 5, grain + 6)) == [(grain, 2 * grain)]
            await partial.write(grain, content[grain : 2 * grain])
            await partial.write(2 * grain, content[2 * grain : 2 * grain + 7])
            assert list(partial.missing(0, len(content))) == [(0, grain), (2 * grain + 7, len(content))]
            assert partial.ready_until(grain) == 2 * grain + 7
            assert partial.ready_until(0) == 0
            await partial.write(4 * grain, content[4 * grain :])
            assert list(partial.missing(0, len(content)))[-1] == (2 * grain + 7, 4 * grain)
            assert partial.ready_until(4 * grain) == len(content)
            await partial.close()

    async def test_a_blob_may_come_in_any_order(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            grain = store.block_size_bytes
            key, content = sample(7.25, grain)
            partial = await store.partial(key, len(content))
            await partial.reserve(0, len(content))

            async def lane(start: int, stop: int) -> None:
                while start < stop:
                    end = min(start + grain // 3, stop)
                    part = start + (end - start) // 3
                    await partial.write(start, content[start:part], content[part:end])
                    start = end

            await asyncio.gather(lane(5 * grain, len(content)), lane(0, 2 * grain), lane(2 * grain, 5 * grain))
            await partial.verify()
            await partial.keep()
            assert await partial.read(0, len(content)) == content, "readers go on reading"
            await partial.close()
            blob = await store.open(key)
            assert blob is not None
            assert await blob.read(0, len(content)) == content
            blob.close()
            assert store.used() == len(content)

    async def test_wrong_bytes_are_found_out_and_gone(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            key, content = sample(2.5, store.block_size_bytes)
            partial = await store.partial(key, len(content))
            await partial.reserve(0, len(content))
            await partial.write(0, content[:-1] + bytes([content[-1] ^ 1]))
            with pytest.raises(WrongBytes):
                await partial.verify()
            await partial.close()
            assert await store.size(key) is None
            assert store.used() == 0
            again = await store.partial(key, len(content))
            assert list(again.missing(0, len(content))) == [(0, len(content))]
            await again.close()

    async def test_whole_blocks_outlive_the_process(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            grain = store.block_size_bytes
            key, content = sample(3.5, grain)
            partial = await store.partial(key, len(content))
            await partial.reserve(0, len(content))
            await partial.write(grain, content[grain : 2 * grain])
            await partial.write(0, content[:9])
            await partial.close()
        async with open_store() as store:
            assert store.used() >= grain
            partial = await store.partial(key, len(content))
            assert list(partial.missing(0, len(content))) == [(0, grain), (2 * grain, len(content))]
            await partial.reserve(0, len(content))
            await partial.write(0, content[:grain])
            await partial.write(2 * grain, content[2 * grain :])
            await partial.verify()
            await partial.keep()
            await partial.close()
            assert await store.size(key) == len(content)

    async def test_what_was_left_of_another_size_is_forgotten(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            grain = store.block_size_bytes
            key, content = sample(2, grain)
            partial = await store.partial(key, 3 * grain)
            await partial.reserve(0, grain)
            await partial.write(0, content[:grain])
            await partial.close()
            partial = await store.partial(key, len(content))
            assert list(partial.missing(0, len(content))) == [(0, len(content))]
            await partial.close()

    async def test_one_writes_at_a_time(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            key, content = sample(1.5, store.block_size_bytes)
            partial = await store.partial(key, len(content))
            with pytest.raises(BlobBusy):
                await store.partial(key, len(content))
            with pytest.raises(BlobBusy):
                await store.delete(key)
            async with open_store() as another_process:
                with pytest.raises(BlobBusy):
                    await another_process.partial(key, len(content))
            await partial.close()
            again = await store.partial(key, len(content))
            await again.close()

    async def test_another_process_reads_it_as_it_grows(self, open_store: OpenStore) -> None:
        async with open_store() as store, open_store() as another_process:
            grain = store.block_size_bytes
            key, content = sample(2.5, grain)
            nobody = another_process.follow(key, len(content))
            assert not await nobody.look(0), "nobody writes it yet"
            nobody.close()
            partial = await store.partial(key, len(content))
            followed = another_process.follow(key, len(content))
            assert await followed.look(0)
            await partial.reserve(0, len(content))
            await partial.write(grain, content[grain : 2 * grain])
            async with asyncio.timeout(PATIENCE_S):
                while followed.ready_until(grain) < 2 * grain:
                    assert await followed.look(grain)
            assert followed.ready_until(0) == 0
            assert await followed.read(grain + 5, 2 * grain) == content[grain + 5 : 2 * grain]
            await partial.write(0, content[:grain])
            await partial.write(2 * grain, content[2 * grain :])
            await partial.verify()
            await partial.keep()
            await partial.close()
            assert not await followed.look(0)
            followed.close()
            followed.close()
            with pytest.raises(BlobBusy):
                await another_process.partial(key, len(content))
            blob = await _open(another_process, key)
            assert await blob.read(0, len(content)) == content
            blob.close()

    async def test_deleting_does_not_disturb_readers(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            key, content = sample(2.5, store.block_size_bytes)
            await fill(store, key, content)
            blob = await store.open(key)
            assert blob is not None
            assert await store.delete(key)
            assert not await store.delete(key)
            assert await blob.read(0, len(content)) == content
            blob.close()
            assert await store.open(key) is None
            assert store.used() == 0

    async def test_the_list_names_complete_and_partial_blobs(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            grain = store.block_size_bytes
            (whole, content), (part, other) = sample(1.5, grain), sample(2, grain)
            await fill(store, whole, content)
            partial = await store.partial(part, len(other))
            await partial.reserve(0, grain)
            await partial.write(0, other[:grain])
            await partial.close()
            found = {info.key: (info.complete, info.size_bytes) async for info in store.list()}
            assert found[whole] == (True, len(content))
            assert found[part] == (False, grain)
            assert store.used() == len(content) + grain

    async def test_the_least_recently_used_goes_first(self, open_store: OpenStore) -> None:
        async with open_store() as probe:
            grain = probe.block_size_bytes
        blobs = [sample(2, grain) for _ in range(4)]
        async with open_store(limit_bytes=6 * grain) as store:
            for key, content in blobs[:3]:
                await fill(store, key, content)
            (await _open(store, blobs[0][0])).close()
            await fill(store, *blobs[3])
            kept = [await store.size(key) is not None for key, _ in blobs]
            assert kept == [True, False, True, True]
            assert store.used() == 6 * grain

    async def test_pinned_blobs_stay_and_then_there_is_no_room(self, open_store: OpenStore) -> None:
        async with open_store() as probe:
            grain = probe.block_size_bytes
        (pinned, content), (other, more), (small, bit) = sample(2, grain), sample(2, grain), sample(1, grain)
        async with open_store(limit_bytes=3 * grain, pinned=lambda key: key == pinned) as store:
            await fill(store, pinned, content)
            await fill(store, small, bit)
            partial = await store.partial(other, len(more))
            with pytest.raises(StorageFull):
                await partial.reserve(0, len(more))
            assert await store.size(small) == grain, "nothing is evicted in vain"
            await partial.reserve(0, grain)
            assert await store.size(small) is None
            await partial.close()
            assert await store.size(pinned) == len(content)
            assert store.used() == len(content)

    async def test_room_that_was_set_aside_and_not_used_is_given_back(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            key, content = sample(3, store.block_size_bytes)
            partial = await store.partial(key, len(content))
            await partial.reserve(0, len(content))
            assert store.used() == len(content)
            await partial.discard()
            await partial.close()
            assert store.used() == 0

    async def test_a_cancelled_write_is_whole_or_not_at_all(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            key, content = sample(3, store.block_size_bytes)
            partial = await store.partial(key, len(content))
            await partial.reserve(0, len(content))
            writing = asyncio.create_task(partial.write(0, content[: 2 * store.block_size_bytes]))
            await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)  # it may have ended before
            there = partial.ready_until(0)
            assert await partial.read(0, there) == content[:there]
            await partial.write(there, content[there:])
            await partial.verify()
            await partial.close()


async def _open(store: BlobStore, key: BlobKey) -> Any:
    blob = await store.open(key)
    assert blob is not None
    return blob
