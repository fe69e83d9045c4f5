"""What every gateway needs, looked at: its folder and its database."""

import asyncio
import os
from pathlib import Path

from sqlalchemy import Connection, text

from hfproxy.errors import StorageUnavailable
from hfproxy.keys import Check
from hfproxy.storage.database import Database

# Whoever asks has little patience; a write that another process holds up takes longer.
_PATIENCE_S = 0.3


def writable(folder: Path) -> Check:
    """A check that passes while files can be made in the folder, or the folder in the nearest one there is."""

    def look() -> str | None:
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(f"{existing} is not writable")
        return None

    return lambda: asyncio.to_thread(look)


class DatabaseCheck:
    """Passes while the database answers, and says so where it cannot be written, as on a full or broken disk.

    It tries a write only after one has failed: to find out when the next would not.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._trying: asyncio.Task[None] | None = None

    async def __call__(self) -> str | None:
        await self._database.read(
            lambda connection: connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        )
        if self._database.unwritten is not None:
            if self._trying is None or self._trying.done():
                self._trying = asyncio.create_task(self._try(), name="try to write to the database")
            await asyncio.wait({self._trying}, timeout=_PATIENCE_S)
        unwritten = self._database.unwritten
        return f"writes are refused: {unwritten}" if unwritten is not None else None

    async def close(self) -> None:
        """Ends a try that is under way."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)

    async def _try(self) -> None:
        try:
            await self._database.write(_change_nothing, durable=False)
        except StorageUnavailable:
            return  # the database remembers it


def _change_nothing(connection: Connection) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
