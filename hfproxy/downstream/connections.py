"""Connections as clients see them: what is not HTTP is refused as a problem, on one log line, and shown to nobody.

aiohttp answers such requests before any middleware: with a text that repeats what was sent, and a traceback in the log
for each. Here the answer is a problem as everywhere else, and neither it nor the log repeats the request, whose head
may hold a token.
"""

import re
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import InvalidURLError, LineTooLong
from aiohttp.web_protocol import RequestHandler

from hfproxy.downstream.problems import render
from hfproxy.errors import BadRequest, HeadTooLarge, ProxyError
from hfproxy.metrics import Metrics

log = structlog.get_logger(__name__)

# aiohttp's messages end with what was sent, as a `repr` of bytes or after an empty line.
_QUOTATION = re.compile(r"\n\n.*|\bbytearray\(.*|\bb['\"].*", re.DOTALL)


class GatewayRunner(web.AppRunner):
    """Runs the application on connections of this module. metrics: where refused requests are counted."""

    def __init__(self, app: web.Application, *, metrics: Metrics, **options: Any) -> None:
        super().__init__(app, access_log=None, **options)
        self._metrics = metrics

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Connections(made, metrics=self._metrics, **self._kwargs)


class _Connections(web.Server):
    """As the application's own server, but for the kind of its connections."""

    def __init__(self, made: web.Server, *, metrics: Metrics, handler_cancellation: bool, **options: Any) -> None:
        super().__init__(
            made.request_handler, request_factory=made.request_factory, handler_cancellation=handler_cancellation
        )
        self._metrics, self._options = metrics, options

    def __call__(self) -> RequestHandler:
        return _Connection(self, self._metrics, loop=self._loop, **self._options)


class _Connection(RequestHandler):
    __slots__ = ("_metrics",)

    def __init__(self, server: web.Server, metrics: Metrics, **options: Any) -> None:
        super().__init__(server, **options)
        self._metrics = metrics

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The problem for a request that could not be read, after which the connection is closed."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun, nothing can be added to it")
        error = _problem(exc, message or "")
        log.info("request.unreadable", address=request.remote, status=error.status, detail=error.detail)
        self._metrics.request_unreadable(error.status)
        response = render(error, instance="*")
        response.force_close()
        return response


def _problem(exc: BaseException | None, message: str) -> ProxyError:
    if isinstance(exc, LineTooLong) or message.startswith("Too many headers"):
        return HeadTooLarge()
    if isinstance(exc, InvalidURLError):
        return BadRequest("the request's target is not an address")
    reason = " ".join(_QUOTATION.sub("", message).split()).rstrip(" :.")
    return BadRequest(f"this is not HTTP/1.1 as it should be: {reason}" if reason else None)
