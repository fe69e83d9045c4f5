"""Tokens for the store: what may be done, in which repository and revision, for whom, until when, and a signature.

Source: contract section 5.2; to clients they are opaque.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final, Literal

Permission = Literal["read", "write"]

_SIGNATURE_BYTES: Final = 32


class BadToken(ValueError):
    """No token of ours, or one whose time is over."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token lets its bearer do."""

    repo_oid: str
    revision: str
    permission: Permission
    user: str | None
    expires_s: int
    """Unix time."""


class Tokens:
    """Writes tokens, and reads those that it wrote."""

    def __init__(self, key: bytes, clock: Callable[[], float]) -> None:
        self._key = key
        self._clock = clock

    def write(self, grant: Grant) -> str:
        said = json.dumps(asdict(grant)).encode()
        return "xet_" + base64.urlsafe_b64encode(self._signature(said) + said).decode().rstrip("=")

    def read(self, authorization: str | None) -> Grant:
        """The grant in an `Authorization` header. Raises BadToken."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.casefold() != "bearer" or not token.startswith("xet_"):
            raise BadToken("not a token of this store")
        encoded = token.removeprefix("xet_")
        try:
            raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except (binascii.Error, ValueError):
            raise BadToken("not a token of this store") from None
        signature, said = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(said)):
            raise BadToken("not a token of this store")
        grant = Grant(**json.loads(said))
        if self._clock() >= grant.expires_s:
            raise BadToken("token expired")
        return grant

    def _signature(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, hashlib.sha256)
