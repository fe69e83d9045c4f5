"""Notices: heard by all others, once, in order, and none is missed."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, insert, select

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


async def test_old_ones_go_but_not_the_last_thousand_and_numbers_never_begin_again(
    tmp_path: Path, database_url: str | None
) -> None:
    """A clock that is ahead takes all for old: whoever has not heard of the last ones yet still does."""
    async with open_database(tmp_path, database_url) as database:
        here, there = Notices(database), Notices(database)
        await there.begin()
        rows = [{"id": n, "node": "a" * 32, "kind": "n", "about": str(n), "said_at_s": 0.0} for n in range(1, 1501)]
        async with database.writing() as connection:
            await connection.execute(insert(NOTICES), rows)
        heard: list[Any] = []
        there.hear("n", _into(heard))
        await here.post("n", "new")
        await there.look()
        assert heard == [*range(501, 1501), "new"]
        async with database.reading() as connection:
            assert (await connection.execute(select(func.max(NOTICES.c.id)))).scalar_one() == 1501


async def test_numbers_that_a_crashed_server_gives_again_are_heard(tmp_path: Path, database_url: str | None) -> None:
    async with open_database(tmp_path, database_url) as database:
        here, there = Notices(database), Notices(database)
        heard: list[Any] = []
        await there.begin()
        there.hear("n", _into(heard))
        for about in ("kept", "lost"):
            await here.post("n", about)
        await there.look()
        async with database.writing() as connection:
            await connection.execute(delete(NOTICES).where(NOTICES.c.about == '"lost"'))
        await here.post("n", "in its place")
        await there.look()
        await there.look()
        assert heard == ["kept", "lost", "kept", "in its place"]
        async with database.writing() as connection:
            await connection.execute(delete(NOTICES))
        await there.look()
        await here.post("n", "the first again")
        await there.look()
        assert heard[-1] == "the first again"


def _into(heard: list[Any]) -> Any:
    async def hear(about: Any) -> None:
        heard.append(about)

    return hear
