"""What is written behind is written, also when the end comes in the middle of a write."""

import asyncio

from hfproxy.storage.write_behind import written_behind


async def test_a_write_under_way_at_the_end_is_finished_and_what_came_later_is_written_too() -> None:
    noted, kept = ["first"], list[str]()
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        nonlocal noted
        taken, noted = noted, []
        begun.set()
        await may_go_on.wait()
        kept.extend(taken)

    async with written_behind(write, every_s=0.001, name="test"):
        await begun.wait()
        noted.append("second")
        asyncio.get_running_loop().call_soon(may_go_on.set)
    assert kept == ["first", "second"]
    assert noted == []
