"""Answers that could not be passed on to anybody, refused where all answers come in."""

import re
from typing import Final

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType

# A server that sent these to a client could be made to say what it never meant to (RFC 9110 section 5.5).
_CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


async def only_sound_answers(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """A middleware of the session to the Hub. Raises ClientResponseError, which says what is wrong."""
    response = await handler(request)
    if (fault := _fault(request, response)) is not None:
        response.close()
        raise aiohttp.ClientResponseError(
            response.request_info, response.history, status=response.status, message=fault
        )
    return response


def _fault(request: aiohttp.ClientRequest, response: aiohttp.ClientResponse) -> str | None:
    switched = response.status == 101 and "Upgrade" in request.headers
    if response.status < 200 and not switched:
        return f"a status of {response.status}"
    if any(_CONTROL_CHARACTERS.search(name + value) for name, value in response.headers.items()):
        return "a control character in a header"
    return None
