"""The gateway's address as this client wrote it: what addresses in answers must begin with."""

import re
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from multidict import CIMultiDictProxy

from hfproxy.downstream.forwarded import ORIGIN, Origin

# The configured prefix, on requests that came under it.
PATH_PREFIX: Final = web.RequestKey("path_prefix", str)

RequestFactory = Callable[..., web.BaseRequest]
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?]*)(.*)", re.DOTALL)


def base_url(request: web.Request) -> str:
    """Scheme, host, port and path prefix exactly as the client used them, without a slash at the end."""
    return base_of(request[ORIGIN], own_prefix(request))


def base_of(origin: Origin, own: str = "") -> str:
    """The same of an origin. own: the prefix of ours that the request came under."""
    return origin.base_url.removesuffix(own) + own


def path_prefix(request: web.Request) -> str:
    """The path in the base URL: what a proxy in front cut off, and what we did; empty at the root."""
    return request[ORIGIN].prefix.removesuffix(own_prefix(request)) + own_prefix(request)


def own_prefix(request: web.Request) -> str:
    """The prefix of ours that this request came under."""
    prefix: str = request.get(PATH_PREFIX, "")
    return prefix


def without_prefix(target: str, prefix: str) -> str | None:
    """What a target under the prefix is at the root, where all are served; None for one that is not under it."""
    if target != prefix and not target.startswith((f"{prefix}/", f"{prefix}?")):
        return None
    cut = target[len(prefix) :]
    return cut if cut.startswith("/") else f"/{cut}"


def under_prefix(prefix: str, make_request: RequestFactory) -> RequestFactory:
    """Requests under `prefix` look to all handlers as if they had come to the root, where the others come.

    For `web.Server.request_factory`: paths must be cut before routing, and every route is served under both.
    """

    def make(message: Any, *rest: Any, **named: Any) -> web.BaseRequest:
        if (cut := without_prefix(message.path, prefix)) is not None:
            url = message.url
            shorter = url.with_path(url.raw_path[len(prefix) :] or "/", encoded=True, keep_query=True)
            request = make_request(message._replace(path=cut, url=shorter), *rest, **named)
            request[PATH_PREFIX] = prefix
            return request
        return make_request(message, *rest, **named)

    return make


def in_origin_form(make_request: RequestFactory) -> RequestFactory:
    """Requests for a whole address look to all handlers as if they were for its path, and the address's host counts.

    For `web.Server.request_factory`. Who takes us for a proxy asks for `http://host/path`: RFC 9112 section 3.2.2 has a
    server take that, and believe its host rather than the Host header.
    """

    def make(message: Any, *rest: Any, **named: Any) -> web.BaseRequest:
        if not (match := _ABSOLUTE.fullmatch(message.path)):
            return make_request(message, *rest, **named)
        authority, path = match.groups()
        headers = message.headers.copy()
        headers["Host"] = authority.rpartition("@")[2]
        origin_form = message._replace(
            path=path if path.startswith("/") else f"/{path}",
            url=message.url.relative(),
            headers=CIMultiDictProxy(headers),
        )
        return make_request(origin_form, *rest, **named)

    return make
