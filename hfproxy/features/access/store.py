"""Where gateway keys are kept."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, bindparam, insert, select, update

from hfproxy.downstream.access import Role
from hfproxy.features.access.models import GatewayKey
from hfproxy.features.access.tables import KEYS
from hfproxy.storage.database import Database

_ALL = select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id)
_USED = update(KEYS).where(KEYS.c.id == bindparam("key")).values(last_used_at=bindparam("at"))


class KeyStore:
    """Gateway keys in the database; a key is never deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, GatewayKey]:
        """Every key that was ever made, by the hash of its secret, the oldest first."""
        rows = await self._database.read(lambda connection: connection.execute(_ALL).mappings().all())
        return {row["secret_hash"]: _key(row) for row in rows}

    async def add(self, key: GatewayKey, secret_hash: str) -> None:
        """Keeps a new key. Raises IntegrityError where an unrevoked key has its name."""
        columns: dict[str, Any] = {
            "id": key.id,
            "name": key.name,
            "secret_hash": secret_hash,
            "role": str(key.role),
            "repos": None if key.repos is None else json.dumps(key.repos),
            "created_at": key.created_at,
            "expires_at": key.expires_at,
        }
        await self._database.write(lambda connection: connection.execute(insert(KEYS), columns))

    async def revoke(self, key_id: str, at: datetime) -> None:
        """Ends a key; one that has ended already keeps its time."""
        ended = update(KEYS).where(KEYS.c.id == key_id, KEYS.c.revoked_at.is_(None)).values(revoked_at=at)
        await self._database.write(lambda connection: connection.execute(ended))

    async def used(self, times: Mapping[str, datetime]) -> None:
        """Notes when keys were last used, by their ids."""
        rows = [{"key": key_id, "at": at} for key_id, at in times.items()]
        if rows:
            await self._database.write(lambda connection: connection.execute(_USED, rows), durable=False)


def _key(row: RowMapping) -> GatewayKey:
    return GatewayKey(
        id=row["id"],
        name=row["name"],
        role=Role.named(row["role"]),
        repos=None if row["repos"] is None else tuple(json.loads(row["repos"])),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )
