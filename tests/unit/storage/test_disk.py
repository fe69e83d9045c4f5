"""The store on a local disk: the contract, and what only a disk can do."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hfproxy.storage import journal
from hfproxy.storage.blobs import BlobKey, BlobStoreBroken, StorageFull
from hfproxy.storage.disk import BLOCK_SIZE_BYTES, DiskBlobs, disk_blobs
from tests.contracts.blobs import BlobStoreContract, OpenStore, fill, sample
from tests.support.mounts import small_disk

_WRITER = """
import asyncio, sys
from pathlib import Path
from hfproxy.storage.blobs import BlobKey
from hfproxy.storage.disk import disk_blobs

async def main(root, content):
    async with disk_blobs(root) as store:
        partial = await store.partial(BlobKey.of(content), len(content))
        await partial.reserve(0, len(content))
        for start in range(0, len(content), 300_000):
            await partial.write(start, content[start:start + 300_000])
            print(start, flush=True)

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
"""


class TestDiskBlobs(BlobStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        @asynccontextmanager
        async def opened(**options: Any) -> AsyncIterator[DiskBlobs]:
            async with disk_blobs(tmp_path / "blobs", **options) as store:
                yield store

        return opened


@pytest.mark.parametrize("kill_after", [0, 1, 5, 20])
async def test_a_killed_writer_leaves_its_whole_blocks(tmp_path: Path, kill_after: int) -> None:
    """`kill -9` in the middle: the next process fetches what is missing and the bytes are right."""
    key, content = sample(8.5, BLOCK_SIZE_BYTES)
    (tmp_path / "content").write_bytes(content)
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WRITER, str(tmp_path / "blobs"), str(tmp_path / "content"), stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    for _ in range(kill_after + 1):
        reached = int(await writer.stdout.readline())
    writer.kill()
    await writer.communicate()
    async with disk_blobs(tmp_path / "blobs") as store:
        partial = await store.partial(key, len(content))
        assert partial.ready_until(0) >= reached // BLOCK_SIZE_BYTES * BLOCK_SIZE_BYTES
        await partial.reserve(0, len(content))
        for start, stop in list(partial.missing(0, len(content))):
            await partial.write(start, content[start:stop])
        await partial.verify()
        await partial.keep()
        await partial.close()
        assert await store.size(key) == len(content)


async def test_after_a_crash_of_the_machine_only_synced_blocks_are_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfproxy.storage.disk_partial._SYNC_EVERY_BYTES", 2 * BLOCK_SIZE_BYTES)
    monkeypatch.setattr("hfproxy.storage.disk_partial._SYNC_EVERY_S", 0)
    key, content = sample(4, BLOCK_SIZE_BYTES)
    async with disk_blobs(tmp_path) as store:
        partial = await store.partial(key, len(content))
        await partial.reserve(0, len(content))
        for block in range(3):
            start = block * BLOCK_SIZE_BYTES
            await partial.write(start, content[start : start + BLOCK_SIZE_BYTES])
        await partial.close()
    monkeypatch.setattr(journal, "boot_id", lambda: b"another start of this machine".ljust(36))
    for _ in range(2):  # what was believed once is believed again
        async with disk_blobs(tmp_path) as store:
            partial = await store.partial(key, len(content))
            assert partial.ready_until(0) == 2 * BLOCK_SIZE_BYTES
            await partial.close()


@pytest.mark.parametrize("torn_bytes", [1, 2, 3])
async def test_a_torn_journal_record_is_no_block(tmp_path: Path, torn_bytes: int) -> None:
    key, content = sample(3, BLOCK_SIZE_BYTES)
    async with disk_blobs(tmp_path) as store:
        partial = await store.partial(key, len(content))
        await partial.reserve(0, len(content))
        await partial.write(0, content[: 2 * BLOCK_SIZE_BYTES])
        await partial.close()
        file = tmp_path / "partial" / f"{key}.blocks"
        os.truncate(file, file.stat().st_size - torn_bytes)
        partial = await store.partial(key, len(content))
        assert partial.ready_until(0) == BLOCK_SIZE_BYTES
        await partial.reserve(0, len(content))
        await partial.write(BLOCK_SIZE_BYTES, content[BLOCK_SIZE_BYTES:])
        await partial.close()
        partial = await store.partial(key, len(content))
        await partial.verify()
        await partial.close()


async def test_pieces_may_be_more_than_one_call_of_the_system_takes(tmp_path: Path) -> None:
    key, content = sample(1.5, BLOCK_SIZE_BYTES)
    async with disk_blobs(tmp_path) as store:
        partial = await store.partial(key, len(content))
        await partial.reserve(0, len(content))
        await partial.write(0, *(content[start : start + 700] for start in range(0, len(content), 700)))
        assert await partial.read(0, len(content)) == content
        await partial.verify()
        await partial.close()


async def test_lost_bytes_under_a_journal_are_missed(tmp_path: Path) -> None:
    key, content = sample(2, BLOCK_SIZE_BYTES)
    async with disk_blobs(tmp_path) as store:
        partial = await store.partial(key, len(content))
        await partial.reserve(0, len(content))
        await partial.write(0, content)
        await partial.close()
        (tmp_path / "partial" / f"{key}.bytes").unlink()
        partial = await store.partial(key, len(content))
        assert partial.ready_until(0) == 0
        await partial.close()


async def test_a_full_disk_is_told_as_full(tmp_path: Path) -> None:
    """A file size limit stands for the disk's end: the same error, at the same call."""
    key, content = sample(3, BLOCK_SIZE_BYTES)
    async with disk_blobs(tmp_path, floor_bytes=2**62) as store:
        partial = await store.partial(key, len(content))
        with pytest.raises(StorageFull):
            await partial.reserve(0, len(content))
        await partial.close()
        with pytest.raises(StorageFull):
            await store.put(BlobKey.of(b"x"), b"x")
        assert store.used() == 0


async def test_a_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BlobStoreBroken):
        async with disk_blobs(tmp_path / "file"):
            pass


async def test_nothing_is_written_below_a_disk_that_is_not_mounted_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with ExitStack() as mounted:
        mounted.enter_context(small_disk(folder, 4 * BLOCK_SIZE_BYTES))
        async with disk_blobs(folder / "blobs") as store:
            await store.put(BlobKey.of(b"x"), b"x")
            mounted.close()
            with pytest.raises(BlobStoreBroken):
                await store.put(BlobKey.of(b"y"), b"y")
            with pytest.raises(BlobStoreBroken):
                await store.partial(BlobKey.of(b"z"), 1)
            assert not list(folder.iterdir())


async def test_reading_makes_a_blob_young_again_for_the_next_process(tmp_path: Path) -> None:
    blobs = [sample(1, BLOCK_SIZE_BYTES) for _ in range(3)]
    async with disk_blobs(tmp_path) as store:
        for age, (key, content) in enumerate(blobs):
            await fill(store, key, content)
            file = tmp_path / "complete" / "sha256" / key.digest[:2] / key.digest[2:4] / key.digest
            os.utime(file, (0, age * 10_000))
        blob = await store.open(blobs[0][0])
        assert blob is not None
        blob.close()
    async with disk_blobs(tmp_path, limit_bytes=3 * BLOCK_SIZE_BYTES) as store:
        await fill(store, *sample(1, BLOCK_SIZE_BYTES))
        assert [await store.size(key) is not None for key, _ in blobs] == [True, False, True]


async def test_other_users_of_the_machine_may_not_look_into_what_is_kept(tmp_path: Path) -> None:
    async with disk_blobs(tmp_path / "blobs"):
        assert (tmp_path / "blobs").stat().st_mode & 0o007 == 0


async def test_who_is_cancelled_while_a_blob_is_opened_leaves_no_file_open(tmp_path: Path) -> None:
    key, content = sample(0.1, BLOCK_SIZE_BYTES)
    async with disk_blobs(tmp_path) as store:
        await store.put(key, content)
        before = _open_files()
        for _ in range(20):
            await _cancelled_once_begun(store.open(key))
        assert _open_files() <= before


async def test_who_is_cancelled_while_a_partial_blob_is_opened_does_not_keep_it_from_others(tmp_path: Path) -> None:
    """Its journal's lock lasts as long as the descriptor does: until the process ends, if nobody has that any more."""
    key, content = sample(0.1, BLOCK_SIZE_BYTES)
    async with disk_blobs(tmp_path) as store:
        before = _open_files()
        for _ in range(20):
            await _cancelled_once_begun(store.partial(key, len(content)))
        assert _open_files() <= before
        await fill(store, key, content)
        assert await store.size(key) == len(content)


async def test_who_follows_a_blob_that_was_just_kept_leaves_no_file_open(tmp_path: Path) -> None:
    key, content = sample(0.1, BLOCK_SIZE_BYTES)
    async with disk_blobs(tmp_path) as store:
        (tmp_path / "partial" / f"{key}.blocks").touch()
        followed, before = store.follow(key, len(content)), _open_files()
        for _ in range(3):
            assert not await followed.look(0)
        followed.close()
        assert _open_files() <= before


async def _cancelled_once_begun(opening: Coroutine[Any, Any, object]) -> None:
    task = asyncio.create_task(opening)
    await asyncio.sleep(0)  # a thread has it now
    task.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_what_a_clock_that_was_ahead_noted_goes_first(tmp_path: Path) -> None:
    """Else all that was used while it was ahead would stay, and what comes now would go at once."""
    contents = [bytes([number]) * 1000 for number in range(3)]
    async with disk_blobs(tmp_path) as store:
        for content in contents:
            await store.put(BlobKey.of(content), content)
    ahead = next(file for file in (tmp_path / "complete").rglob("*") if file.name == BlobKey.of(contents[1]).digest)
    os.utime(ahead, (0, ahead.stat().st_mtime + 365 * 24 * 3600))
    async with disk_blobs(tmp_path, limit_bytes=3000) as store:
        await store.put(BlobKey.of(b"x"), b"x")
        kept = {info.key async for info in store.list()}
    assert kept == {BlobKey.of(content) for content in (contents[0], contents[2], b"x")}
