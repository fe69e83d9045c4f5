"""Connections as clients see them: what is not HTTP is refused as a problem, on one log line, and shown to nobody.

aiohttp answers such requests before any middleware: with a text that repeats what was sent, and a traceback in the log
for each. Here the answer is a problem as everywhere else, and neither it nor the log repeats the request, whose head
may hold a token.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import InvalidURLError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from hfproxy.downstream.at_once import Client, QuickLane
from hfproxy.downstream.endpoint import operation_of
from hfproxy.downstream.problems import render
from hfproxy.errors import BadRequest, HeadTooLarge, Overloaded, ProxyError
from hfproxy.facts import note
from hfproxy.metrics import Metrics

log = structlog.get_logger(__name__)

# For the request of a connection that is one too many.
_PATIENCE_WITH_SURPLUS_S = 2
# aiohttp's messages end with what was sent, as a `repr` of bytes or after an empty line.
_QUOTATION = re.compile(r"\n\n.*|\bbytearray\(.*|\bb['\"].*", re.DOTALL)


class GatewayRunner(web.AppRunner):
    """Runs the application on connections of this module.

    metrics: where refused requests are counted. quick: what answers in front of the application, if anything does.
    most: connections at once; any more are told so and closed. unread_s: how long a client may read nothing.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        metrics: Metrics,
        quick: QuickLane | None,
        most: int,
        unread_s: float,
        **options: Any,
    ) -> None:
        super().__init__(app, access_log=None, **options)
        self._metrics, self._quick, self._most, self._unread_s = metrics, quick, most, unread_s

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Connections(
            made,
            metrics=self._metrics,
            quick=self._quick,
            most=self._most,
            unread_s=self._unread_s,
            **self._kwargs,
        )


class _Connections(web.Server):
    """As the application's own server, but for the kind of its connections."""

    def __init__(
        self,
        made: web.Server,
        *,
        metrics: Metrics,
        quick: QuickLane | None,
        most: int,
        unread_s: float,
        handler_cancellation: bool,
        **options: Any,
    ) -> None:
        super().__init__(
            made.request_handler, request_factory=made.request_factory, handler_cancellation=handler_cancellation
        )
        self._metrics, self._quick, self._options = metrics, quick, options
        self.most, self.open = most, 0
        self.unread_ms = max(1, round(unread_s * 1000))

    def __call__(self) -> RequestHandler:
        return _Connection(self, self._metrics, self._quick, loop=self._loop, **self._options)


class _Connection(RequestHandler):
    __slots__ = ("_client", "_metrics", "_patience", "_quick", "surplus")

    def __init__(self, server: web.Server, metrics: Metrics, quick: QuickLane | None, **options: Any) -> None:
        super().__init__(server, **options)
        self._metrics, self._quick = metrics, quick
        self._client: Client | None = None
        self.surplus = False
        """Whether it is one too many: it is told so when it asks, and not waited for."""
        self._patience: asyncio.TimerHandle | None = None
        if quick is not None:
            self._parser: Any = _Reading(self._parser, self._answer_at_once)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        manager = self._manager
        assert isinstance(manager, _Connections)
        _end_when_unread(transport, manager.unread_ms)
        manager.open += 1
        if manager.open > manager.most:
            self.surplus = True
            self._patience = self._loop.call_later(_PATIENCE_WITH_SURPLUS_S, self._end_if_idle)

    def connection_lost(self, exc: BaseException | None) -> None:
        if isinstance(self._manager, _Connections):
            self._manager.open -= 1
        if self._patience is not None:
            self._patience.cancel()
        super().connection_lost(exc)

    def _end_if_idle(self) -> None:
        if self._current_request is None:
            self.force_close()

    def _answer_at_once(self, message: Any, payload: Any) -> bool:
        """Answers a request that nothing has to be waited for; whether that was one."""
        waiter, transport, manager = self._waiter, self.transport, self._manager
        if (
            # aiohttp waits for a request: none is under way, none is before this one.
            waiter is None
            or waiter.done()
            or self._messages
            or self.surplus
            or transport is None
            or manager is None
            or payload is not EMPTY_PAYLOAD
            # A client that does not read is waited for.
            or transport.get_write_buffer_size()
            or transport.is_closing()
        ):
            return False
        assert self._quick is not None
        if self._client is None:
            peer = self.peername
            remote = peer[0] if isinstance(peer, (tuple, list)) else peer
            self._client = Client(remote, self.ssl_context is not None)
        if (answered := self._quick.answer(message, self._client)) is None:
            return False
        pieces = answered.pieces()
        transport.writelines(pieces)
        manager.requests_count += 1
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        answered.tell(sum(map(len, pieces)))
        return True

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


@web.middleware
async def refuse_surplus(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tells the first request of a connection that is one too many so, and closes it; probes are answered first."""
    connection = request.protocol
    if not (isinstance(connection, _Connection) and connection.surplus):
        return await handler(request)
    operation = operation_of(request)
    if operation is not None and operation.always:
        response = await handler(request)
    else:
        note(outcome=Overloaded.code)
        error = Overloaded("there are too many connections", retry_after_s=_PATIENCE_WITH_SURPLUS_S)
        response = render(error, instance=request.path)
    response.force_close()
    return response


def _end_when_unread(transport: asyncio.BaseTransport, unread_ms: int) -> None:
    """Has the system end the connection whose client takes nothing for so long, however its answer is being sent."""
    sock = transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread_ms)


class _Reading:
    """A connection's parser, which keeps back the requests that were answered at once."""

    def __init__(self, parser: Any, answer: Callable[[Any, Any], bool]) -> None:
        self._parser, self._answer, self._consumed = parser, answer, parser.message_consumed

    def feed_data(self, data: bytes) -> tuple[Any, bool, bytes]:
        messages, upgraded, tail = self._parser.feed_data(data)
        if len(messages) == 1 and not upgraded and self._answer(*messages[0]):
            self._consumed()
            return (), upgraded, tail
        return messages, upgraded, tail

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


def _problem(exc: BaseException | None, message: str) -> ProxyError:
    if isinstance(exc, LineTooLong) or message.startswith("Too many headers"):
        return HeadTooLarge()
    if isinstance(exc, InvalidURLError):
        return BadRequest("the request's target is not an address")
    if "PRI/Upgrade" in message:  # llhttp's word for the line that begins HTTP/2 (RFC 9113, section 3.4)
        return BadRequest("this is HTTP/2, which is not spoken here: use HTTP/1.1")
    reason = " ".join(_QUOTATION.sub("", message).split()).rstrip(" :.")
    return BadRequest(f"this is not HTTP/1.1 as it should be: {reason}" if reason else None)
