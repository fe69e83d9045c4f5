"""What is refused whoever asks and whatever the path: requests that no route may see, least of all one that relays."""

import re
from typing import Final

from aiohttp import HttpVersion10, web
from aiohttp.typedefs import Handler

from hfproxy.downstream.expecting import CONTINUE
from hfproxy.errors import BadRequest, ExpectationFailed, MethodNotAllowed

# RFC 9110 sections 9.3.6 and 9.3.8: a tunnel is not what we are, and an echo would show a caller the token that the
# gateway adds on the way.
_NEVER: Final = frozenset({"CONNECT", "TRACE"})
_ALLOWED: Final = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
# RFC 3986 section 3.2.2, a port behind it.
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?")


def can_be_a_host(host: str) -> bool:
    """Whether a Host header's value can name a host; nothing at all can."""
    return _HOST.fullmatch(host) is not None


@web.middleware
async def refuse_unfit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets a request pass unless it is a tunnel, an echo, too old, for no host, or expects what nobody does."""
    if request.version < HttpVersion10:
        raise BadRequest("this needs HTTP/1.0 or newer")
    if request.method in _NEVER:
        raise MethodNotAllowed(f"{request.method} is never answered here", headers={"Allow": _ALLOWED})
    if not can_be_a_host(request.headers.get("Host", "")):
        # RFC 9112 section 3.2.
        raise BadRequest("the Host header does not name a host")
    if request.headers.get("Expect", CONTINUE).lower() not in {CONTINUE, ""}:
        # RFC 9110 section 10.1.1.
        raise ExpectationFailed(f"only {CONTINUE} may be expected")
    return await handler(request)
