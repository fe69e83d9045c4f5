"""What every request goes through: an id, a place among the requests in flight, one log line and one measurement."""

import re
from collections.abc import Mapping
from functools import lru_cache
from time import perf_counter
from typing import Final
from uuid import uuid4

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import istr

from hfproxy.downstream.access import CALLER
from hfproxy.downstream.endpoint import operation_of
from hfproxy.downstream.problems import STARTED
from hfproxy.errors import Overloaded
from hfproxy.facts import RequestFacts
from hfproxy.metrics import Metrics
from hfproxy.repeated_lines import RepeatedLine
from hfproxy.upstream.headers import REQUEST_ID, TRACE_ID

LOGGER: Final = __name__
log = structlog.get_logger(LOGGER)

GATEWAY_REQUEST_ID: Final = "X-HFProxy-Request-Id"
CLIENT_GONE: Final = 499  # nginx's number for a caller who went away before the answer was whole
NO_ROUTE: Final = "(none)"
# The status of an answer that went out whole before its handler was done.
_ENDED: Final = web.RequestKey("ended", int)
_FACTS: Final = web.RequestKey("facts", RequestFacts)
CHANGING: Final = ("duration_s", "bytes_sent", "request_id")
"""The fields of a request's line that the next one of the same call does not share."""
_MOST_LINES = 1024
_LONGEST_PATH = 512
_IDS = istr(REQUEST_ID), istr(TRACE_ID)
_ID = re.compile(r"[\x21-\x7e]{1,128}")


def id_of(headers: Mapping[str, str]) -> str:
    """The id the caller brought (`X-Request-Id`, or the trace id of `huggingface_hub`), else a new one."""
    for name in _IDS:
        if (given := headers.get(name)) and _ID.fullmatch(given):
            return given
    return str(uuid4())


async def hand_back_id(request: web.Request, response: web.StreamResponse) -> None:
    """Puts the request's id on every answer, also on one that a handler streams (`on_response_prepare`)."""
    if (facts := request.get(_FACTS)) is not None:
        response.headers[GATEWAY_REQUEST_ID] = facts.request_id
        # The Hub's own id stays where users look for it; where the Hub was not asked, ours stands there.
        response.headers.setdefault(REQUEST_ID, facts.request_id)


def note_end(request: web.Request, response: web.StreamResponse) -> None:
    """To be called at the end of an answer by those who have work left after it: who hangs up then has had it whole."""
    request[_ENDED] = response.status


def is_there(request: web.Request) -> bool:
    """Whether the caller has not hung up, as far as is known."""
    return request.transport is not None and not request.transport.is_closing()


def request_line(metrics: Metrics) -> Middleware:
    """A middleware that gives each request its id and tells what became of it: `request.finished`, and a measurement.

    It must be the outermost one that answers, since it sends the answer itself: only then is it known how long that
    took, how many bytes left, and whether the caller was still there.
    """

    @web.middleware
    async def line(request: web.Request, handler: Handler) -> web.StreamResponse:
        facts = request[_FACTS] = RequestFacts(id_of(request.headers))
        facts.enter()
        structlog.contextvars.bind_contextvars(request_id=facts.request_id)
        begun = perf_counter()
        response: web.StreamResponse | None = None
        status = CLIENT_GONE
        metrics.request_begun()
        try:
            response = await handler(request)
            await response.prepare(request)
            await response.write_eof()
            if request.content.exception() is not None:
                # A body that could not be read: its rest means nothing, and aiohttp must not wait for it.
                request.protocol.force_close()
                status = response.status
            elif is_there(request):
                status = response.status
            return response
        except ConnectionError:
            # The caller is gone. aiohttp wants an answer back, and finds out itself that it cannot be sent.
            return response or request.get(STARTED) or web.Response(status=CLIENT_GONE)
        finally:
            status = request.get(_ENDED, status)
            _tell(request, status, perf_counter() - begun, facts, metrics)

    return line


def _tell(request: web.Request, status: int, duration_s: float, facts: RequestFacts, metrics: Metrics) -> None:
    route = route_of(request)
    # Its head included; for a broken answer, what was handed to the socket until then.
    bytes_sent = request.writer.output_size
    metrics.request_finished(request.method, route, status, duration_s=duration_s, bytes_sent=bytes_sent)
    caller = request.get(CALLER)
    fields = finished_fields(
        method=request.method,
        path=request.raw_path,
        route=route,
        status=status,
        caller=caller.name if caller is not None else None,
        facts=facts,
    )
    if status < 400 and (operation := operation_of(request)) is not None and operation.always:
        # Asked every few seconds for ever: that all is well is in nobody's way only when it is not said.
        log.debug("request.finished", **fields | {"duration_s": rounded(duration_s), "bytes_sent": bytes_sent})
    else:
        _write(fields, rounded(duration_s), bytes_sent, facts.request_id)


def _write(fields: dict[str, object], duration_s: float, bytes_sent: int, request_id: str) -> None:
    """Writes the line; the same call again costs a sixth of the first."""
    bound = bound_fields()
    # No two lines of traces are the same; and what is no plain value could change once it is rendered.
    plain = all(value is None or isinstance(value, str | int | float) for value in fields.values())
    if len(str(fields["path"])) > _LONGEST_PATH or not plain or "trace_id" in bound:
        log.info("request.finished", **fields | {"duration_s": duration_s, "bytes_sent": bytes_sent})
        return
    told = {**fields, **bound}
    _line(tuple(told), *told.values()).write(duration_s, bytes_sent, request_id)


@lru_cache(maxsize=_MOST_LINES, typed=True)
def _line(names: tuple[str, ...], *values: object) -> RepeatedLine:
    fields = {**dict(zip(names, values, strict=True)), "request_id": ""}
    return RepeatedLine(LOGGER, "request.finished", fields, CHANGING)


def finished_fields(
    *, method: str, path: str, route: str, status: int, caller: str | None, facts: RequestFacts
) -> dict[str, object]:
    """The fields of a request's line; `duration_s` and `bytes_sent` are still 0."""
    return {
        "method": method,
        "path": path.partition("?")[0],
        "route": route,
        "status": status,
        "duration_s": 0,
        "bytes_sent": 0,
        "caller": caller,
        "upstream_calls": facts.upstream_calls,
        "outcome": "ClientGone" if status == CLIENT_GONE else "ok",
        **facts.facts,
    }


def bound_fields() -> dict[str, object]:
    """What every line of this process says, such as a worker's number."""
    return {name: value for name, value in structlog.contextvars.get_contextvars().items() if name != "request_id"}


def rounded(duration_s: float) -> float:
    """A duration as the line tells it."""
    return round(duration_s, 4)


def route_of(request: web.Request) -> str:
    """The template of the request's route, the same with and without a slash at the end; few, whatever is asked."""
    resource = request.match_info.route.resource
    if resource is None:
        return NO_ROUTE
    return resource.canonical.rstrip("/") or "/"


class Places:
    """So many requests may be in flight at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    @property
    def full(self) -> bool:
        return self._taken >= self._most

    def middleware(self) -> Middleware:
        """A middleware that refuses what would be one request too many."""

        @web.middleware
        async def place(request: web.Request, handler: Handler) -> web.StreamResponse:
            operation = operation_of(request)
            if operation is not None and operation.always:
                # A gateway that is full is alive: who looks after it must not think otherwise and restart it.
                return await handler(request)
            if self.full:
                raise Overloaded(f"{self._taken} requests are under way")
            self._taken += 1
            try:
                return await handler(request)
            finally:
                self._taken -= 1

        return place
