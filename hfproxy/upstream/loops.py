"""Tells a Hub that may be a gateway which gateways a request has passed."""

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType
from yarl import URL

from hfproxy.loops import HEADER, PASSED

# The Hub itself is nobody's gateway, and is sent nothing but what its clients send.
_NO_GATEWAY = frozenset({"huggingface.co", "hf.co"})


class NamesGateways:
    """A middleware of the session; only the Hub's own origin is told."""

    def __init__(self, endpoint: str) -> None:
        url = URL(endpoint)
        self._origin = url.origin() if url.host not in _NO_GATEWAY else None

    async def __call__(self, request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
        passed = PASSED.get()
        if passed and request.url.origin() == self._origin:
            request.headers[HEADER] = ", ".join(passed)
        return await send(request)
