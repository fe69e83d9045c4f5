"""Text that only this gateway can make and read: small documents, sealed (AES-GCM) under a key for one purpose."""

import json
import secrets
from base64 import b64decode, urlsafe_b64encode
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_SIZE = 12
_VERSION = b"\x01"


class BadSeal(ValueError):
    """Not a text that this gateway made for this purpose."""


class Seals:
    """Seals documents and opens them again; whatever was changed, or sealed elsewhere, does not open."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, document: dict[str, Any]) -> str:
        """One path segment that needs no encoding, another each time."""
        nonce = secrets.token_bytes(_NONCE_SIZE)
        sealed = self._cipher.encrypt(nonce, json.dumps(document, separators=(",", ":")).encode(), _VERSION)
        return urlsafe_b64encode(_VERSION + nonce + sealed).decode().rstrip("=")

    def open(self, text: str) -> dict[str, Any]:
        """The document. Raises BadSeal."""
        try:
            raw = b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
            version, nonce, sealed = raw[:1], raw[1 : 1 + _NONCE_SIZE], raw[1 + _NONCE_SIZE :]
            document: dict[str, Any] = json.loads(self._cipher.decrypt(nonce, sealed, version))
        except (ValueError, InvalidTag):
            raise BadSeal("this gateway did not seal it") from None
        return document
