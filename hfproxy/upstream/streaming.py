"""Answers of the Hub as they arrive, at constant memory: nothing is decoded, nothing is kept, nothing is sent twice."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import asynccontextmanager

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from hfproxy.errors import HubMisspoke
from hfproxy.facts import count_upstream_call
from hfproxy.upstream.faults import network_faults

# aiohttp would add these where the caller sent none.
_NOT_ADDED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class StreamedAnswer:
    """An answer whose headers are here and whose body is still to come."""

    def __init__(self, response: aiohttp.ClientResponse, asked: str) -> None:
        self.status = response.status
        self.reason = response.reason or ""
        self.headers: CIMultiDictProxy[str] = response.headers
        self.asked = asked
        self._content = response.content

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, coded as the Hub coded it. Raises UpstreamError if it ends early."""
        while True:
            with network_faults(self.asked):
                chunk = await self._content.readany()
            if not chunk:
                return
            yield chunk

    async def read(self, *, max_size: int) -> bytes:
        """The whole body, as the Hub coded it. Raises UpstreamError, HubMisspoke if it has more bytes."""
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > max_size:
                raise HubMisspoke(f"an answer of more than {max_size} bytes", asked=self.asked)
        return bytes(body)


@asynccontextmanager
async def open_stream(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    headers: Iterable[tuple[str, str]],
    body: AsyncIterable[bytes] | bytes | None,
    asked: str,
) -> AsyncIterator[StreamedAnswer]:
    """One request, sent once, redirects not followed; leaving the context early ends it upstream too.

    No time limit but the session's: the caller ends what stalls. Raises UpstreamError.
    """
    count_upstream_call()
    with network_faults(asked):
        response = await session.request(
            method,
            url,
            headers=CIMultiDict(headers),
            data=body,
            skip_auto_headers=_NOT_ADDED,
            allow_redirects=False,
            auto_decompress=False,
        )
    async with response:
        yield StreamedAnswer(response, asked)
