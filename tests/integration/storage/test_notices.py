"""Notices: heard by all others, once, in order, and none is missed."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from hfproxy.storage.notices import NOTICES, Notices
from hfproxy.storage.opening import open_database


async def test_others_hear_each_notice_once_and_in_order(tmp_path: Path, database_url: str | None) -> None:
    async with open_database(tmp_path, database_url) as database, open_database(tmp_path, database_url) as elsewhere:
        here, there = Notices(database), Notices(elsewhere)
        await here.post("n", "before anybody listened")
        heard: dict[Notices, list[Any]] = {here: [], there: []}
        for notices in (here, there):
            await notices.begin()
            notices.hear("n", _into(heard[notices]))
        await asyncio.gather(*(notices.post("n", number) for number in range(20) for notices in (here, there)))
        await asyncio.gather(here.look(), there.look())
        await there.post("unknown to others", {"any": "thing"})
        await here.look()
        assert sorted(heard[here]) == sorted(heard[there]) == list(range(20))
        await here.post("n", "later")
        await there.look()
        assert heard[there][-1] == "later"


async def test_one_that_cannot_be_heeded_does_not_hide_the_next(tmp_path: Path, database_url: str | None) -> None:
    async with open_database(tmp_path, database_url) as database:
        here, there = Notices(database), Notices(database)
        heard: list[Any] = []

        async def hear(about: Any) -> None:
            if about == "bad":
                raise ValueError(about)
            heard.append(about)

        there.hear("n", hear)
        for about in ("bad", "good"):
            await here.post("n", about)
        await there.look()
        assert heard == ["good"]


async def test_old_ones_go_but_numbers_never_begin_again(tmp_path: Path, database_url: str | None) -> None:
    async with open_database(tmp_path, database_url) as database:
        here, there = Notices(database), Notices(database)
        for number in range(3):
            await here.post("n", number)
        await there.begin()
        async with database.writing() as connection:
            await connection.execute(update(NOTICES).values(said_at_s=0.0))
        heard: list[Any] = []
        there.hear("n", _into(heard))
        await here.post("n", "new")
        await there.look()
        assert heard == ["new"]
        async with database.reading() as connection:
            assert (await connection.execute(select(func.count()).select_from(NOTICES))).scalar_one() == 1


def _into(heard: list[Any]) -> Any:
    async def hear(about: Any) -> None:
        heard.append(about)

    return hear
