"""The middleware that puts the caller on each request."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from hfproxy.downstream.access import CALLER, Role
from hfproxy.downstream.browsers import refuse_cross_site
from hfproxy.downstream.credentials import sent_secret
from hfproxy.downstream.forwarded import ORIGIN
from hfproxy.facts import note
from hfproxy.features.access.callers import Callers
from hfproxy.keys import ACTING, CARRIED, SETTINGS
from hfproxy.upstream.credentials import NOBODY

CALLERS: Final = web.AppKey("callers", Callers)


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Puts the caller and the acting credential on the request, and keeps browsers from lending either to a page."""
    if (holder := request.app[CARRIED].get(request.match_info.handler)) is not None:
        caller = request[CALLER] = await holder(request)
        request[ACTING] = NOBODY
        note(address=caller.address)
        return await handler(request)
    origin, sent = request[ORIGIN], sent_secret(request.headers)
    caller, request[ACTING] = await request.app[CALLERS].identify(sent, origin)
    request[CALLER] = caller
    note(address=caller.address)
    if caller.role is not Role.NONE and (sent is None or sent.ambient):
        friends = frozenset(request.app[SETTINGS].server.cors_origins) - {"*"}
        refuse_cross_site(request, own_host=origin.host, friends=friends)
    return await handler(request)
