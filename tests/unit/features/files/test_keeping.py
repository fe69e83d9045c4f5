"""Small files are put into the store behind the answers, and never pile up in memory."""

import asyncio

import pytest

from hfproxy.features.files.keeping import Keeping
from hfproxy.storage.blobs import BlobKey, BlobStoreBroken

FILES = [bytes([number]) * 100 for number in range(50)]


class Store:
    """Keeps nothing before it is opened."""

    def __init__(self) -> None:
        self.opened, self.busy = asyncio.Event(), asyncio.Event()
        self.kept: dict[BlobKey, bytes] = {}
        self.broken = False
        self.at_once = self.most_at_once = 0

    async def put(self, key: BlobKey, content: bytes) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.at_once == 8:
            self.busy.set()
        await self.opened.wait()
        self.at_once -= 1
        if self.broken:
            raise BlobStoreBroken("read-only")
        self.kept[key] = content


def add_all(keeping: Keeping) -> None:
    for content in FILES:
        keeping.add(BlobKey.of(content), content)


async def test_what_does_not_fit_is_not_kept() -> None:
    store = Store()
    keeping = Keeping(store, most_waiting_bytes=2000)
    add_all(keeping)
    await asyncio.sleep(0)
    store.opened.set()
    await keeping.settled()
    assert set(store.kept.values()) == set(FILES[:20])


async def test_what_was_left_out_can_be_kept_once_there_is_room() -> None:
    store = Store()
    keeping = Keeping(store, most_waiting_bytes=2000)
    store.opened.set()
    for _ in range(3):
        add_all(keeping)
        await keeping.settled()
    assert set(FILES[:20]) <= set(store.kept.values())
    keeping.add(BlobKey.of(FILES[-1]), FILES[-1])
    await keeping.settled()
    assert FILES[-1] in store.kept.values()


@pytest.mark.parametrize("broken", [False, True])
async def test_a_few_are_put_at_once_and_all_of_them_leave(broken: bool) -> None:
    store = Store()
    store.broken = broken
    keeping = Keeping(store)
    add_all(keeping)
    await store.busy.wait()
    store.opened.set()
    await keeping.settled()
    assert store.most_at_once == 8
    assert len(store.kept) == (0 if broken else len(FILES))
