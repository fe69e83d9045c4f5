"""Ranges of xorbs, fetched from where the CAS says they lie."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from yarl import URL

from hfproxy.errors import HubFailed, HubMisspoke, PlaceExpired
from hfproxy.upstream.client import USER_AGENT, HubClient
from hfproxy.upstream.credentials import NOBODY
from hfproxy.upstream.xet import XorbRange

# A signed address that ran out says one of these (403 CloudFront and S3, the rest others).
_EXPIRED = frozenset({401, 403, 404, 410})
_TOO_MANY_REQUESTS = 429
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


class XorbBody:
    """A range's bytes as they come; `xorb_bytes` is how many the whole xorb has, where the store tells."""

    def __init__(self, chunks: AsyncIterator[bytes], xorb_bytes: int | None) -> None:
        self.chunks, self.xorb_bytes = chunks, xorb_bytes


class Xorbs:
    """Fetches ranges; no token of ours or of anybody's goes along."""

    def __init__(self, hub: HubClient) -> None:
        self._hub = hub

    @asynccontextmanager
    async def open(self, place: XorbRange) -> AsyncIterator[XorbBody]:
        """The bytes of the range, from its first on. Raises PlaceExpired, UpstreamError.

        The whole range is asked for, as it was given out: an address may be signed for exactly that.
        """
        headers = [
            ("Range", f"bytes={place.start}-{place.stop - 1}"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", USER_AGENT),
        ]
        url = URL(place.address, encoded=True)
        async with self._hub.stream("GET", url, credential=NOBODY, headers=headers) as answer:
            if answer.status in _EXPIRED:
                raise PlaceExpired(f"the store says {answer.status}", asked=answer.asked)
            if answer.status >= 500 or answer.status == _TOO_MANY_REQUESTS:
                raise HubFailed("the store of bytes failed", hub_status=answer.status, asked=answer.asked)
            told = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if answer.status != 206 or told is None or (int(told[1]), int(told[2])) != (place.start, place.stop - 1):
                raise HubMisspoke(f"an answer {answer.status} that is not the range asked for", asked=answer.asked)
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise HubMisspoke("a coded body where none was asked for", asked=answer.asked)
            yield XorbBody(answer.chunks(), int(told[3]) if told[3] != "*" else None)
