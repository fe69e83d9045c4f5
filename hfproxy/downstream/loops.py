"""Refuses requests that have passed this gateway before."""

import secrets

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from hfproxy.errors import LoopDetected
from hfproxy.loops import HEADER, MOST_GATEWAYS, PASSED, PREFIX


def refuse_loops() -> Middleware:
    """A middleware for one gateway, by a name of its own that nobody else knows before it has asked its Hub."""
    own = f"{PREFIX}{secrets.token_hex(8)}"

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        said = ",".join(request.headers.getall(HEADER, ()))
        passed = tuple(name for each in said.split(",") if (name := each.strip()))
        if own in passed or sum(name.startswith(PREFIX) for name in passed) > MOST_GATEWAYS:
            raise LoopDetected("this gateway's Hub is a gateway whose Hub is this one: see HF_ENDPOINT of both")
        PASSED.set((*passed, own))
        return await handler(request)

    return middleware
