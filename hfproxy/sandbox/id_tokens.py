"""Signed statements of who logged in (OpenID Connect Core 1.0 section 2): RS256, as the Hub signs them."""

import base64
import json
from functools import cached_property
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_KEY_ID: Final = "sandbox"


class IdTokens:
    """Signs with a key of this process, made when it is first needed."""

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def signed(self, claims: dict[str, Any]) -> str:
        """The claims as a JSON Web Token (RFC 7515 section 3.1)."""
        head = {"alg": "RS256", "typ": "JWT", "kid": _KEY_ID}
        said = ".".join(_coded(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
        return f"{said}.{_coded(self._key.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def keys(self) -> dict[str, Any]:
        """What others check them with (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        return {
            "keys": [
                {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": _KEY_ID}
                | {"n": _number(numbers.n), "e": _number(numbers.e)}
            ]
        }


def _coded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _coded(value.to_bytes((value.bit_length() + 7) // 8, "big"))
