"""One relayed exchange over HTTP: a request's body on its way up, an answer on its way down, as fast as they move."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from aiohttp import web

from hfproxy.downstream.access import CALLER
from hfproxy.downstream.base_url import base_url, path_prefix
from hfproxy.downstream.browsers import RELAYED
from hfproxy.downstream.middleware import is_there, note_end
from hfproxy.downstream.sending import Pace
from hfproxy.errors import BadRequest, BodyStalled, HubSlow, UpstreamError
from hfproxy.features.passthrough.client_body import ClientBody
from hfproxy.features.passthrough.idle import idle_limit
from hfproxy.features.passthrough.models import Answer, Question
from hfproxy.features.passthrough.rights import goes_without_rights
from hfproxy.keys import ACTING, SETTINGS
from hfproxy.upstream.credentials import NOBODY
from hfproxy.upstream.headers import whole_number
from hfproxy.upstream.routes import Route
from hfproxy.upstream.xet import XetOffers

# Set where the Hub told no type of content, so that none is made up.
UNTYPED: Final = web.RequestKey("untyped", bool)
_SMALL_BODY = 32 * 1024


@asynccontextmanager
async def moving(request: web.Request) -> AsyncIterator[tuple[ClientBody, Callable[[], None]]]:
    """The request's body, and what to call when bytes of the answer move. Raises HubSlow, BodyStalled, BadRequest."""
    idle_s = request.app[SETTINGS].upstream.idle_timeout.total_seconds()
    body: ClientBody | None = None
    try:
        async with idle_limit(idle_s) as moved:
            body = ClientBody(request, moved)
            yield body, moved
    except TimeoutError:
        if body is not None and body.waiting:
            raise BodyStalled(f"no byte of it came for {idle_s:g} s") from None
        raise HubSlow(f"nothing moved for {idle_s:g} s") from None
    except UpstreamError:
        if body is not None and isinstance(body.broken, web.RequestPayloadError):
            raise BadRequest(f"the body is broken: {body.broken}") from None
        raise


def question_of(
    request: web.Request,
    target: str,
    route: Route,
    body: ClientBody | AsyncIterator[bytes] | bytes,
    *,
    offers: XetOffers = XetOffers.NONE,
) -> Question:
    """The request as it is relayed."""
    headers = list(request.headers.items())
    sent = None if isinstance(body, ClientBody) and not request.can_read_body else body
    if sent is None or isinstance(sent, bytes):
        # A body that was read, or is not there: its length is told anew.
        headers = [(name, value) for name, value in headers if name.casefold() != "content-length"]
    return Question(
        method=request.method,
        target=target,
        headers=headers,
        body=sent,
        route=route,
        credential=NOBODY if goes_without_rights(request[CALLER], route) else request[ACTING],
        base=base_url(request),
        prefix=path_prefix(request),
        caller=request[CALLER],
        offers=offers,
    )


async def send_answer(
    request: web.Request,
    asking: AbstractAsyncContextManager[Answer],
    moved: Callable[[], None],
    pace: Pace | None = None,
) -> web.StreamResponse:
    """Sends an answer as it arrives. What goes wrong after its first byte cuts the connection (`problems.py`)."""
    async with asking as answer:
        moved()
        request[RELAYED] = True
        request[UNTYPED] = "Content-Type" not in answer.headers
        if request.method != "HEAD" and _is_small(answer):
            # Head and body in one packet; and what breaks off is still an error that can be told.
            body = b"".join([chunk async for chunk in answer.body])
            if pace is not None:
                await pace(len(body))
            whole = web.Response(status=answer.status, reason=answer.reason, headers=answer.headers, body=body)
            await whole.prepare(request)
            await whole.write_eof()
            _note_end(request, whole)
            return whole
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=answer.headers)
        await response.prepare(request)
        if request.method != "HEAD":
            async for chunk in answer.body:
                moved()
                if pace is not None:
                    await pace(len(chunk))
                await response.write(chunk)
                moved()
        await response.write_eof()
        _note_end(request, response)
        return response


def _note_end(request: web.Request, response: web.StreamResponse) -> None:
    if is_there(request):
        note_end(request, response)


def _is_small(answer: Answer) -> bool:
    length = whole_number(answer.headers.get("Content-Length"))
    return length is not None and length <= _SMALL_BODY and answer.status not in {204, 304}
