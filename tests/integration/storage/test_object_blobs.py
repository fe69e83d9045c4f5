"""The store in a bucket: the contract on two servers and both databases, and what only a bucket can do."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import obstore
import pytest
from sqlalchemy import update

from hfproxy.storage.blob_tables import BLOBS, DROPPED
from hfproxy.storage.blobs import BlobBusy, BlobKey, BlobStore, BlobStoreBroken, PartialBlob
from hfproxy.storage.bucket import Bucket
from hfproxy.storage.catalog import Catalog
from hfproxy.storage.database import Database
from hfproxy.storage.object_blobs import ObjectBlobs, object_blobs
from hfproxy.storage.opening import open_database
from tests.contracts.blobs import BlobStoreContract, OpenStore, fill, sample
from tests.support.databases import new_postgres_database
from tests.support.s3_servers import S3Server, running_rclone
from tests.support.waiting import PATIENCE_S, eventually

GRAIN = 64 * 1024
DAY_S = 24 * 3600.0


@pytest.fixture(params=["rclone-sqlite", "swift-postgresql"])
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """A small server and database, and a whole one of each."""
    if request.param == "rclone-sqlite":
        yield opener(request.getfixturevalue("rclone_server"), tmp_path, None)
        return
    server = request.getfixturevalue("swift_server")
    async with new_postgres_database(request.getfixturevalue("postgres_server")) as url:
        yield opener(server, tmp_path, url)


def opener(
    server: S3Server, folder: Path, url: str | None, bucket: str | None = None, *, timeout_s: float = 60
) -> OpenStore:
    name = bucket or server.new_bucket()

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[ObjectBlobs]:
        async with (
            open_database(folder, url) as database,
            object_blobs(
                Bucket(server.store(name), timeout_s=timeout_s), database, block_size_bytes=GRAIN, **options
            ) as store,
        ):
            yield store

    return opened


class TestObjectBlobs(BlobStoreContract):
    @pytest.fixture
    def open_store(self, open_store: OpenStore) -> OpenStore:
        return open_store


class TestTwoWriters:
    """Who was thought dead, and another took over from, spoils nothing when it wakes up."""

    async def test_the_second_finishes_and_the_first_is_told(self, rclone_server: S3Server, tmp_path: Path) -> None:
        open_store = opener(rclone_server, tmp_path, None)
        key, content = sample(4.5, GRAIN)
        async with open_store() as first, open_store() as second, open_database(tmp_path) as database:
            asleep = await first.partial(key, len(content))
            await asleep.reserve(0, len(content))
            await asleep.write(0, content[: 2 * GRAIN])
            await asleep.read(0, 2 * GRAIN)
            await _until_noted(database, key, 2)
            awake = await _taken_over(second, database, key, len(content))
            assert list(awake.missing(0, len(content))) == [(2 * GRAIN, len(content))]
            await awake.reserve(0, len(content))
            await awake.write(2 * GRAIN, content[2 * GRAIN :])

            wrong = b"\0" * GRAIN
            with pytest.raises(BlobBusy):  # its bytes lie in a series of its own, which nobody knows
                await asleep.write(2 * GRAIN, wrong)
                await asleep.write(3 * GRAIN, content[3 * GRAIN :])
                await asleep.verify()
            await asleep.close()
            await awake.verify()
            await awake.keep()
            await awake.close()
            for store in (first, second):
                blob = await store.open(key)
                assert blob is not None
                assert await blob.read(0, len(content)) == content

    async def test_who_was_late_and_not_replaced_goes_on(self, rclone_server: S3Server, tmp_path: Path) -> None:
        open_store = opener(rclone_server, tmp_path, None)
        key, content = sample(2.5, GRAIN)
        async with open_store() as store, open_database(tmp_path) as database:
            late = await store.partial(key, len(content))
            await late.reserve(0, len(content))
            await late.write(0, content[:GRAIN])
            async with database.writing() as connection:
                await connection.execute(update(BLOBS).values(writer_until_s=0.0))
            held = await Catalog(database).live([late.writer])  # type: ignore[attr-defined]
            assert held == {late.writer}  # type: ignore[attr-defined]
            await late.write(GRAIN, content[GRAIN:])
            await late.verify()
            await late.keep()
            await late.close()
            assert await store.size(key) == len(content)

    async def test_a_finished_blob_is_nobodys_to_write(self, rclone_server: S3Server, tmp_path: Path) -> None:
        open_store = opener(rclone_server, tmp_path, None)
        key, content = sample(1.5, GRAIN)
        async with open_store() as first, open_store() as second:
            await fill(first, key, content)
            with pytest.raises(BlobBusy):
                await second.partial(key, len(content))


async def test_objects_of_what_was_deleted_go_an_hour_later(rclone_server: S3Server, tmp_path: Path) -> None:
    bucket = rclone_server.new_bucket()
    open_store = opener(rclone_server, tmp_path, None, bucket)
    (key, content), (other, more) = sample(2.5, GRAIN), sample(1, GRAIN)
    async with open_store() as store, open_database(tmp_path) as database:
        assert isinstance(store, ObjectBlobs)
        await fill(store, key, content)
        await store.put(other, more)
        await store.delete(key)
        await store.delete_dropped()
        assert len(obstore.list(rclone_server.store(bucket)).collect()) == 4
        async with database.writing() as connection:
            await connection.execute(update(DROPPED).values(due_at_s=0.0))
        await store.delete_dropped()
        assert len(obstore.list(rclone_server.store(bucket)).collect()) == 1
        blob = await store.open(other)
        assert blob is not None
        assert await blob.read(0, GRAIN) == more


class TestClocks:
    """A node's clock may be wrong, and the database's may be set back."""

    async def test_a_node_whose_clock_is_ahead_takes_no_objects_from_readers(
        self, rclone_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket = rclone_server.new_bucket()
        open_store = opener(rclone_server, tmp_path, None, bucket)
        key, content = sample(2.5, GRAIN)
        async with open_store() as store:
            assert isinstance(store, ObjectBlobs)
            await fill(store, key, content)
            await store.delete(key)
            ahead_s = time.time() + DAY_S
            monkeypatch.setattr(time, "time", lambda: ahead_s)
            await store.delete_dropped()
            assert len(obstore.list(rclone_server.store(bucket)).collect()) == 3

    async def test_a_dead_writers_lease_ends_though_the_clock_was_set_back(
        self, rclone_server: S3Server, tmp_path: Path
    ) -> None:
        key, content = sample(1.5, GRAIN)
        async with opener(rclone_server, tmp_path, None)() as store, open_database(tmp_path) as database:
            await Catalog(database).take(key, len(content), GRAIN, "dead")
            async with database.writing() as connection:
                await connection.execute(update(BLOBS).values(writer_until_s=BLOBS.c.writer_until_s + DAY_S))
            await fill(store, key, content)
            assert await store.size(key) == len(content)

    async def test_what_was_used_by_a_clock_that_was_ahead_goes_first_until_it_is_used_again(
        self, rclone_server: S3Server, tmp_path: Path
    ) -> None:
        blobs = [sample(1 + number / 10, GRAIN) for number in range(4)]
        async with (
            opener(rclone_server, tmp_path, None)(limit_bytes=4 * GRAIN) as store,
            open_database(tmp_path) as database,
        ):
            for key, content in blobs[:2]:
                await store.put(key, content)
            async with database.writing() as connection:
                await connection.execute(update(BLOBS).values(used_at_s=BLOBS.c.used_at_s + DAY_S))
            used = await store.open(blobs[0][0])
            assert used is not None
            for key, content in blobs[2:]:
                await store.put(key, content)
            kept = {info.key async for info in store.list()}
            assert kept == {blobs[number][0] for number in (0, 2, 3)}


async def test_a_bucket_that_is_away_says_so_and_comes_back(tmp_path: Path) -> None:
    key, content = sample(1.5, GRAIN)
    with running_rclone() as server:
        open_store = opener(server, tmp_path, None, timeout_s=2)
        async with open_store(memory_bytes=0) as store:
            await fill(store, key, content)
            blob = await store.open(key)
            assert blob is not None
            server.pause()
            with pytest.raises(BlobStoreBroken):
                await blob.read(0, 10)
            with pytest.raises(BlobStoreBroken):
                await blob.read(0, 10)  # at once: the first one waited for all
            server.go_on()

            async def whole() -> bytes | None:
                try:
                    return await blob.read(0, len(content))
                except BlobStoreBroken:
                    return None

            assert await eventually(whole) == content


async def _until_noted(database: Database, key: BlobKey, blocks: int) -> None:
    await eventually(lambda: Catalog(database).there(key), lambda there: len(there) >= blocks)


async def _taken_over(store: BlobStore, database: Database, key: BlobKey, size_bytes: int) -> PartialBlob:
    """What another began, once its lease has run out; that other lives, and may put it off once more before us."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with database.writing() as connection:
                await connection.execute(update(BLOBS).values(writer_until_s=0.0))
            try:
                return await store.partial(key, size_bytes)
            except BlobBusy:
                continue
