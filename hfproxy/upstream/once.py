"""Writes are sent once, also where aiohttp would send them again."""

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


class Unanswered(aiohttp.ClientConnectionError):
    """A write whose connection broke before the answer: it may have happened."""


async def never_write_twice(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
    """A middleware of the session: keeps aiohttp from sending a PUT or DELETE again over a new connection.

    aiohttp repeats what RFC 9110 calls idempotent if a kept connection breaks (`client.py`, IDEMPOTENT_METHODS). A
    second DELETE would answer 404 to a caller whose first one worked, and a streamed body cannot be sent again.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method in _REPEATABLE:
            raise
        raise Unanswered(str(error)) from error
