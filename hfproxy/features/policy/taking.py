"""Puts requests and transfers before the limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from hfproxy.downstream.access import CALLER, Caller
from hfproxy.downstream.endpoint import operation_of
from hfproxy.features.policy.limits import Limits, Pace

LIMITS: Final = web.AppKey("limits", Limits)
# Whoever follows these was sent there, without a token: they are counted where it is known who that was.
_TICKETS = "/-/lfs/"


@web.middleware
async def count_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Counts a request against its caller's limit; not those that look after the gateway."""
    if (allowance := request.app[LIMITS].of(request[CALLER])) is not None:
        operation = operation_of(request)
        if not (operation is not None and operation.always) and not request.path.startswith(_TICKETS):
            await allowance.count_request()
    return await handler(request)


@asynccontextmanager
async def transfer(
    request: web.Request, caller: Caller | None = None, *, takes_place: bool = True
) -> AsyncIterator[Pace | None]:
    """A place for a transfer, and the pace it has to keep; None: as fast as it goes. Raises TooManyRequests.

    caller: whose it is, where that is not who asks. takes_place: False for calls that only may be long.
    """
    allowance = request.app[LIMITS].of(caller or request[CALLER])
    if allowance is None:
        yield None
        return
    if not takes_place:
        yield allowance.pace
        return
    async with allowance.transfer():
        yield allowance.pace
