"""Who calls, and what they may do."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from aiohttp import web

from hfproxy.errors import CallerNotAllowed, CallerUnknown


class Role(IntEnum):
    """What a caller may do; each role may do what the ones before it may."""

    NONE = 0
    READER = 1
    WRITER = 2
    ADMIN = 3

    @classmethod
    def named(cls, name: str) -> "Role":
        return cls[name.upper()]

    @classmethod
    def for_method(cls, method: str) -> "Role":
        """What an HTTP method needs where nothing else is known of a call (RFC 9110 section 9.2.1)."""
        return cls.READER if method in {"GET", "HEAD", "OPTIONS"} else cls.WRITER

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who sent a request, as far as the gateway knows them.

    kind: `key` is known by a gateway key, `hub_token` acts with a Hub token of their own, `anonymous` sent neither.
    id: the key's id or the token's fingerprint, never a secret. repos: the patterns of repositories that a key is
    limited to (`features/access/patterns.py`); None: all. hint: why a caller who might have expected rights has none.
    """

    name: str
    role: Role
    kind: Literal["anonymous", "key", "hub_token"] = "anonymous"
    id: str | None = None
    repos: tuple[str, ...] | None = None
    address: str | None = None
    hint: str | None = None


CALLER: Final = web.RequestKey("caller", Caller)


def require(caller: Caller, role: Role) -> None:
    """Passes if the caller has the role. Raises CallerUnknown or CallerNotAllowed."""
    if caller.role >= role:
        return
    if caller.role is Role.NONE:
        raise CallerUnknown(caller.hint or "send a gateway key as a bearer token, as git's password or as X-API-Key")
    raise CallerNotAllowed(f"this needs the role {role}; {caller.name} has the role {caller.role}")
