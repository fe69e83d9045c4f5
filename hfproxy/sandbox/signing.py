"""Addresses that carry their own permission: what may be done, where, until when, and a signature over all of it.

The names of the parameters are CloudFront's, as the Hub's own signed URLs have them (contract section 4.2 B).
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

_KEY_ID: Final = "SANDBOX"
_SIGNATURE: Final = "Signature"


class NotSigned(ValueError):
    """No signature, or not one of this path, query and method."""


class Expired(ValueError):
    """Signed, but for a time that is over."""


class Signer:
    """Signs with one secret, and recognises what it signed."""

    def __init__(self, secret: bytes, *, lasts_s: float, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._lasts_s = lasts_s
        self._clock = clock

    def sign(self, method: str, path: str, query: Mapping[str, str]) -> str:
        """The path, which is encoded already, with a query that permits one method on it for a while."""
        limited = {**query, "Expires": str(int(self._clock() + self._lasts_s)), "Key-Pair-Id": _KEY_ID}
        signature = self._signature(method, path, list(limited.items()))
        return f"{path}?{urlencode({**limited, _SIGNATURE: signature}, quote_via=quote, safe='')}"

    def check(self, method: str, raw_path: str, raw_query: str) -> dict[str, str]:
        """The query of a request that came to a signed address. Raises NotSigned, Expired.

        What is signed is what the address means: clients may encode it in another way, as object stores allow.
        """
        pairs = parse_qsl(raw_query, keep_blank_values=True)
        given = [value for name, value in pairs if name == _SIGNATURE]
        query = [(name, value) for name, value in pairs if name != _SIGNATURE]
        right = self._signature(method, raw_path, query)
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), right.encode()):
            raise NotSigned(raw_path)
        told = dict(query)
        if self._clock() >= int(told["Expires"]):
            raise Expired(raw_path)
        return told

    def _signature(self, method: str, path: str, query: list[tuple[str, str]]) -> str:
        meaning = json.dumps([method, unquote(path), sorted(query)])
        return hmac.new(self._secret, meaning.encode(), hashlib.sha256).hexdigest()
