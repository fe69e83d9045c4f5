"""What protects people whose browsers can reach this server: from other sites' pages, from renamed hosts, from frames.

Three different dangers. A page elsewhere sends a write, and the browser adds whatever rights this machine has
(`refuse_cross_site`). A name that an attacker owns is pointed at this machine, so that their page is suddenly of our
own origin (`KnownHosts`). A page elsewhere reads answers (CORS: off, unless origins are configured).
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from hfproxy.downstream.forwarded import ORIGIN, split_host
from hfproxy.errors import CrossSiteRefused
from hfproxy.loopback import is_loopback_name

RELAYED: Final = web.RequestKey("relayed", bool)
"""Set by a handler whose answer is somebody else's, and so is left as it is but for CORS."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Own pages load their own scripts, styles and pictures, and speak to this server only. Interactive API pages set
# styles on elements, which 'self' would forbid.
_PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STRICT_TRANSPORT = "max-age=31536000"
_PREFLIGHT_MAX_AGE_S = "600"
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
# What the Hub's browser clients read beside the body; the list of contract section 1.4, and our own.
_EXPOSED = ", ".join(
    (
        "Accept-Ranges",
        "Cache-Status",
        "Content-Disposition",
        "Content-Range",
        "ETag",
        "Link",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "X-Error-Code",
        "X-Error-Message",
        "X-HFProxy-Request-Id",
        "X-Linked-ETag",
        "X-Linked-Size",
        "X-Repo-Commit",
        "X-Request-Id",
        "X-Total-Count",
    )
)


class KnownHosts:
    """The names under which callers without a key may speak to this server."""

    def __init__(self, allowed: Iterable[str], *, listens_on: str) -> None:
        self._names = {name for name in allowed if not name.startswith("*.")} | {split_host(listens_on)[0], listens_on}
        self._suffixes = tuple(name[1:] for name in allowed if name.startswith("*."))

    def __contains__(self, host_name: str) -> bool:
        return host_name in self._names or host_name.endswith(self._suffixes) or is_loopback_name(host_name)


def refuse_cross_site(request: web.Request, *, own_host: str, friends: frozenset[str]) -> None:
    """Passes what this server's own pages, a configured origin or a program sent. Raises CrossSiteRefused.

    For requests whose rights come from where they are sent from, not from a secret in them. `Sec-Fetch-Site` tells in
    every current browser, `Origin` in older ones; programs send neither.
    """
    if request.method in _SAFE_METHODS and "Upgrade" not in request.headers:
        return
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() in friends:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site in {"same-origin", "none"}:
        return
    if site is None and (origin is None or origin.partition("://")[2].lower() == own_host.lower()):
        return
    raise CrossSiteRefused(f"a page of {origin or 'another site'} sent this; send a gateway key to do it on purpose")


def preflights(origins: frozenset[str]) -> Middleware:
    """A middleware that answers browsers who ask whether a page of `origins` may send something."""

    @web.middleware
    async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or asked is None or "Origin" not in request.headers:
            return await handler(request)
        headers = {"Vary": "Origin, Access-Control-Request-Headers"}
        if _allows(origins, request.headers["Origin"]):
            headers |= {
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", ""),
                "Access-Control-Max-Age": _PREFLIGHT_MAX_AGE_S,
            }
        return web.Response(status=204, headers=headers)

    return answer_preflight


def answer_headers(origins: frozenset[str]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """What every answer carries (`on_response_prepare`): CORS for `origins`, and protection for what is our own."""

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        if origins and (origin := request.headers.get("Origin")) is not None:
            # The Hub's own answer would let every page in.
            for name in [name for name in headers if name.lower().startswith("access-control-allow-origin")]:
                del headers[name]
            if "Origin" not in headers.get("Vary", ""):
                headers.add("Vary", "Origin")
            if _allows(origins, origin):
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = _EXPOSED
        if request.get(RELAYED):
            return
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        seen = request.get(ORIGIN)
        # A browser that once heard it of `localhost` would refuse every other program there that speaks plain HTTP.
        if seen is not None and seen.scheme == "https" and not is_loopback_name(seen.host_name):
            headers.setdefault("Strict-Transport-Security", _STRICT_TRANSPORT)

    return add


def _allows(origins: frozenset[str], origin: str) -> bool:
    return "*" in origins or origin.lower() in origins
