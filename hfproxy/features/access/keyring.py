"""The keys as a running gateway knows them: in memory, never more than a second behind the database."""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from aiohttp import web

from hfproxy.errors import StorageUnavailable
from hfproxy.features.access.models import GatewayKey
from hfproxy.features.access.secrets import hash_of
from hfproxy.features.access.service import Clock, utc_now
from hfproxy.features.access.store import KeyStore

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
# `last_used_at` is for finding forgotten keys: to the minute is enough, and spares a write for each request.
_USE_NOTED_EVERY = timedelta(minutes=1)
# Keys are looked up by the first 64 bits of their hash, and the whole is compared in constant time.
_BEGINNING = 16


class KeyRing:
    """Finds a key by its secret without asking the database, and follows what other processes change there.

    While the database is away the keys of the last look hold.
    """

    def __init__(self, *, store: KeyStore, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock
        self._by_beginning: Mapping[str, Sequence[tuple[str, GatewayKey]]] = {}
        self._by_id: Mapping[str, GatewayKey] = {}
        self._looking = asyncio.Lock()
        self._used: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}

    @property
    def ever_made(self) -> bool:
        """Whether a key was ever made, though it may have ended: revoking the last one must not open the door."""
        return bool(self._by_beginning)

    async def look(self) -> None:
        """Reads the keys again. Raises StorageUnavailable."""
        async with self._looking:
            found: dict[str, list[tuple[str, GatewayKey]]] = {}
            for kept, key in (await self._store.all()).items():
                found.setdefault(kept[:_BEGINNING], []).append((kept, key))
            self._by_beginning = found
            self._by_id = {key.id: key for alike in found.values() for _, key in alike}

    def find(self, secret: str) -> GatewayKey | None:
        """The key of that secret if it opens anything now; a use is noted."""
        now, wanted = self._clock(), hash_of(secret)
        for kept, key in self._by_beginning.get(wanted[:_BEGINNING], ()):
            if hmac.compare_digest(kept, wanted) and key.usable(now):
                self._used[key.id] = now
                return key
        return None

    async def opens(self, key_id: str) -> bool:
        """Whether the key of that id opens anything now. Raises StorageUnavailable."""
        if key_id not in self._by_id:
            await self.look()  # it may have been made since the last look
        key = self._by_id.get(key_id)
        return key is not None and key.usable(self._clock())

    async def follow(self) -> None:
        """Looks every second, and notes what was used, until cancelled."""
        away = False
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
                await self.note_uses()
            except StorageUnavailable as error:
                if not away:
                    log.warning("keys.stale", reason=error.detail)
                away = True
            else:
                away = False

    async def note_uses(self) -> None:
        """Writes down when keys were last used, each at most once a minute."""
        used, self._used = self._used, {}
        due = {
            key_id: at
            for key_id, at in used.items()
            if key_id not in self._noted or abs(at - self._noted[key_id]) >= _USE_NOTED_EVERY
        }
        if due:
            await self._store.used(due)
            self._noted |= due


KEY_RING: Final = web.AppKey("key_ring", KeyRing)
