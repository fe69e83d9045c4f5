"""Gateway keys made, listed and revoked."""

import re
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import IntegrityError

from hfproxy.downstream.access import Role
from hfproxy.features.access.models import GatewayKey
from hfproxy.features.access.patterns import BadPattern, check_pattern
from hfproxy.features.access.secrets import hash_of, new_secret
from hfproxy.features.access.store import KeyStore

Clock = Callable[[], datetime]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,99}")


class KeyRefused(Exception):
    """What was asked of a key cannot be done; the message says why."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class KeyService:
    """Makes and revokes gateway keys. A running gateway notices within a second (`keyring.py`)."""

    def __init__(self, *, store: KeyStore, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    async def create(
        self, name: str, role: Role, *, repos: Sequence[str] = (), lifetime: timedelta | None = None
    ) -> tuple[GatewayKey, str]:
        """A new key and its secret, which nobody can be told a second time. Raises KeyRefused."""
        if not _NAME.fullmatch(name):
            raise KeyRefused("a name begins with a letter or digit and has at most 100 of letters, digits and ' ._@+-'")
        if role is Role.ADMIN and repos:
            raise KeyRefused("an admin sees everything: give repositories to readers and writers only")
        if lifetime is not None and lifetime <= timedelta(0):
            raise KeyRefused("a key must live for some time")
        try:
            patterns = tuple(check_pattern(pattern) for pattern in repos)
        except BadPattern as error:
            raise KeyRefused(str(error)) from None
        now, secret = self._clock(), new_secret()
        key = GatewayKey(
            id=secrets.token_hex(4),
            name=name,
            role=role,
            repos=patterns or None,
            created_at=now,
            expires_at=now + lifetime if lifetime is not None else None,
        )
        try:
            await self._store.add(key, hash_of(secret))
        except IntegrityError:
            raise KeyRefused(f"there is a key called {name!r} already: revoke it first, or take another name") from None
        return key, secret

    async def list(self) -> Sequence[GatewayKey]:
        """Every key, the oldest first."""
        return list((await self._store.all()).values())

    async def revoke(self, name_or_id: str) -> GatewayKey:
        """The key that opens nothing any more. Raises KeyRefused where no key that still does is called that."""
        live = [key for key in await self.list() if key.revoked_at is None]
        for key in live:
            if name_or_id in {key.id, key.name}:
                await self._store.revoke(key.id, self._clock())
                return key
        raise KeyRefused(f"no key that is not revoked has the name or the id {name_or_id!r}")
