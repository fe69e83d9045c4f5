"""What one process learnt and the others must hear of: short notices in the database, looked for by all.

They are asked for five times a second. PostgreSQL could call its listeners, but not through every pooler, and SQLite
not at all; one way that is the same everywhere and right after a broken connection is worth a fifth of a second.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Row,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
)

from hfproxy.errors import StorageUnavailable
from hfproxy.storage.database import METADATA, Database

log = structlog.get_logger(__name__)

NOTICES = Table(
    "notices",
    METADATA,
    Column("id", BigInteger(), primary_key=True, autoincrement=False),
    Column("node", String(32), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("about", String(), nullable=False),
    Column("said_at_s", Float(53), nullable=False),
)

LOOK_EVERY_S = 0.2
_KEPT_FOR_S = 3600.0
# Whatever the clock says: nobody who looks five times a second is so many behind.
_KEPT_AT_LEAST = 1000
_NUMBERING = 0x6866_7072_6F78_7B  # an advisory lock of PostgreSQL: numbers become visible in their order
_NEWS = select(NOTICES).where(NOTICES.c.id >= bindparam("last")).order_by(NOTICES.c.id)
_NEWEST = select(NOTICES).order_by(NOTICES.c.id.desc()).limit(1)

Heard = Callable[[Any], Awaitable[None]]


class Notices:
    """Posts to the other processes, and hears what they post."""

    def __init__(self, database: Database) -> None:
        self._database, self._node = database, uuid.uuid4().hex
        self._last: Row[Any] | None = None
        self._heard: dict[str, Heard] = {}

    async def begin(self) -> None:
        """From now on nothing is missed; to be called before anything is read that a notice may be about."""
        self._last = await self._database.read(lambda connection: connection.execute(_NEWEST).first())

    def hear(self, kind: str, heard: Heard) -> None:
        """Has `heard` called with what others post of this kind."""
        self._heard[kind] = heard

    async def post(self, kind: str, about: Any) -> None:
        """Tells the others; about: what JSON can say. Raises StorageUnavailable."""
        row = {"node": self._node, "kind": kind, "about": json.dumps(about), "said_at_s": time.time()}

        def work(connection: Connection) -> None:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _NUMBERING})
            newest = _newest(connection)
            connection.execute(insert(NOTICES).values(id=newest + 1, **row))
            old = time.time() - _KEPT_FOR_S
            gone = (NOTICES.c.said_at_s < old, NOTICES.c.id <= newest - _KEPT_AT_LEAST)
            connection.execute(delete(NOTICES).where(*gone))

        await self._database.write(work, durable=False)

    async def look(self) -> None:
        """Hears what was posted since the last look. Raises StorageUnavailable."""
        for row in await self._news():
            self._last = row
            heard = self._heard.get(row.kind)
            if heard is not None and row.node != self._node:
                try:
                    await heard(json.loads(row.about))
                except Exception as error:  # an edge: one that cannot be heeded must not end the hearing of all
                    log.warning("notices.unread", reason=f"{row.kind}: {error}")

    async def _news(self) -> Sequence[Row[Any]]:
        """What came after the last one, or all, where that one is not there.

        A server that crashed has lost its last moments (they are not `durable`), and gives their numbers anew. To hear
        one twice does no harm.
        """
        last = self._last
        if last is None:
            return await self._from(0)
        news = await self._from(last.id)
        return news[1:] if news and news[0] == last else await self._from(0)

    async def _from(self, number: int) -> Sequence[Row[Any]]:
        return await self._database.read(lambda connection: connection.execute(_NEWS, {"last": number}).all())

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Looks for notices for as long as the context lasts."""
        task = asyncio.create_task(self._follow(), name="hear the other processes")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        away = False
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except StorageUnavailable as error:
                if not away:
                    log.warning("notices.unread", reason=error.detail)
                away = True
            else:
                away = False


def _newest(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(NOTICES.c.id), 0))).scalar_one())
