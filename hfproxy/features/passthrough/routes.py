"""The relay over HTTP: a request is read only as far as it must be, an answer is sent as it arrives."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

from aiohttp import web

from hfproxy.downstream.access import CALLER
from hfproxy.downstream.base_url import base_url, path_prefix
from hfproxy.downstream.browsers import RELAYED
from hfproxy.downstream.coded import refuse_coded
from hfproxy.downstream.middleware import is_there, note_end
from hfproxy.downstream.sending import Pace
from hfproxy.errors import (
    BadRequest,
    BodyStalled,
    CallerNotAllowed,
    HubSlow,
    MethodNotAllowed,
    NotFound,
    UpstreamError,
    XetUploadRefused,
)
from hfproxy.facts import note
from hfproxy.features.access.keyring import KEY_RING
from hfproxy.features.files.objects import answer_object, is_kept_by_its_name
from hfproxy.features.passthrough.client_body import ClientBody
from hfproxy.features.passthrough.idle import idle_limit
from hfproxy.features.passthrough.models import Answer, Question
from hfproxy.features.passthrough.rights import check_rights
from hfproxy.features.passthrough.service import RelayService, described
from hfproxy.features.passthrough.tickets import BadTicket, TicketOffice
from hfproxy.features.passthrough.websockets import is_websocket, relay_websocket
from hfproxy.features.policy.judging import (
    SHOWING_FILES,
    brings_files,
    holder_of,
    judge_call,
    judge_ticket,
    judged_upload,
    shown,
)
from hfproxy.features.policy.routes import POLICY
from hfproxy.features.policy.taking import transfer
from hfproxy.features.policy.withholding import WARNING
from hfproxy.keys import ACTING, HUB, SETTINGS
from hfproxy.upstream.coding import identity
from hfproxy.upstream.headers import whole_number
from hfproxy.upstream.lfs import without_xet
from hfproxy.upstream.refs import BadReference
from hfproxy.upstream.routes import SAFE_METHODS, TOLD_BY_BODY, Kind, Right, Route, UnsafePath, classify

RELAY: Final = web.AppKey("relay", RelayService)
TICKETS: Final = web.AppKey("tickets", TicketOffice)
# The paths of our own features that take only some methods: the others must not reach the Hub.
OUR_PATHS: Final = web.AppKey("our_paths", Mapping[str, frozenset[str]])
# Set where the Hub told no type of content, so that none is made up.
UNTYPED: Final = web.RequestKey("untyped", bool)

_RELAYED_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
XET_REFUSAL_PATH: Final = "/-/xet/set-HF_HUB_DISABLE_XET=1-and-upload-again"
_TRANSFERS = frozenset({Kind.RAW, Kind.RESOLVE, Kind.RESOLVE_CACHE, Kind.COMMIT, Kind.GIT_FETCH, Kind.GIT_PUSH})
_SMALL_BODY = 32 * 1024
_MAX_READ_BODY = 4 * 1024**2
_MAX_SHOWN_BODY = 64 * 1024**2
# What is JSON too could say one thing to us and another to who reads it as a form.
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_STORE_ROUTE = Route(Kind.OTHER, Right.READ)
_HOW_TO_UPLOAD = (
    "this gateway does not relay uploads by Xet: set HF_HUB_DISABLE_XET=1 in the environment of the uploading program, "
    "and it uploads the same files over plain HTTP"
)


async def relay(request: web.Request) -> web.StreamResponse:
    """Any call that no other feature serves."""
    target = request.raw_path
    path = target.partition("?")[0]
    _refuse_our_own(request, path)
    try:
        route = classify(request.method, target)
    except UnsafePath as error:
        raise BadRequest(str(error)) from None
    async with _moving(request) as (body, moved), AsyncExitStack() as stack:
        read = await _read_if_told_by_body(request, route, body)
        if read is not None:
            route = _named(route, read)
            read = without_xet(read) if route.kind is Kind.LFS_BATCH else read
        check_rights(request[CALLER], request[ACTING], request.method, route)
        note(**described(route))
        await judge_call(request, target, route, read)
        if route.kind is Kind.XET_WRITE_TOKEN and route.bucket is None:
            # Of an error, hf_xet 1.8 shows nothing but its status and the address that gave it: so that speaks.
            return web.Response(status=307, headers={"Location": base_url(request) + XET_REFUSAL_PATH})
        takes_place = route.kind in _TRANSFERS
        body.pace = pace = await stack.enter_async_context(transfer(request, takes_place=takes_place))
        sent: ClientBody | AsyncIterator[bytes] | bytes = body if read is None else read
        if brings_files(request, route):
            sent = await stack.enter_async_context(judged_upload(request, route, aiter(body)))
        question = _question(request, target, route, sent)
        if is_websocket(request):
            return await relay_websocket(request, request.app[HUB], question, moved)
        asking = request.app[RELAY].ask(question)
        return await _send(request, _as_shown(request, route, asking), moved, pace)


async def refuse_xet_upload(request: web.Request) -> web.StreamResponse:
    """Where uploads by Xet are sent, to be told how to upload without."""
    raise XetUploadRefused(_HOW_TO_UPLOAD)


async def use_ticket(request: web.Request) -> web.StreamResponse:
    """Bytes to or from the place that the Hub named; the ticket is the right to go there, and only there."""
    try:
        target = request.app[TICKETS].read(request.match_info["ticket"])
    except BadTicket as error:
        raise NotFound(str(error)) from None
    if request.method not in target.methods:
        allowed = ", ".join(target.methods)
        raise MethodNotAllowed(f"use {allowed}", headers={"Allow": allowed})
    if target.key_id is not None and not await request.app[KEY_RING].opens(target.key_id):
        raise CallerNotAllowed("the gateway key that this transfer was begun with has expired or was revoked")
    judge_ticket(request, target)
    holder = holder_of(target) if target.holder is not None else request[CALLER]
    if is_kept_by_its_name(target):
        return await answer_object(request, target, holder)
    note(outcome="relayed", kind="store")
    async with _moving(request) as (body, moved), transfer(request, holder) as pace:
        body.pace = pace
        question = _question(request, request.raw_path, _STORE_ROUTE, body)
        return await _send(request, request.app[RELAY].ask_store(question, target), moved, pace)


async def leave_untyped(request: web.Request, response: web.StreamResponse) -> None:
    """Takes back the `Content-Type` that aiohttp makes up (`on_response_prepare`)."""
    if request.get(UNTYPED):
        response.headers.popall("Content-Type", None)


def _refuse_our_own(request: web.Request, path: str) -> None:
    if (methods := request.app[OUR_PATHS].get(path)) is not None:
        raise web.HTTPMethodNotAllowed(request.method, methods)
    if path == "/-" or path.startswith("/-/") or not path.startswith("/"):
        raise NotFound
    if request.method in {"CONNECT", "TRACE"}:
        raise web.HTTPMethodNotAllowed(request.method, _RELAYED_METHODS)


async def _read_if_told_by_body(request: web.Request, route: Route, body: ClientBody) -> bytes | None:
    if route.kind not in TOLD_BY_BODY or request.method in SAFE_METHODS or route.bucket is not None:
        return None
    refuse_coded(request, "this call is judged by its body: send it without a Content-Encoding")
    if request[CALLER].repos is not None and request.content_type in _FORMS:
        raise BadRequest("this call is judged by its body: send JSON, with a Content-Type that says so")
    return await body.read(max_size=_MAX_READ_BODY)


def _named(route: Route, body: bytes) -> Route:
    """The route with what its body says; one that the Hub will refuse anyway names nothing."""
    try:
        return route.naming(body)
    except BadReference:
        return route


@asynccontextmanager
async def _moving(request: web.Request) -> AsyncIterator[tuple[ClientBody, Callable[[], None]]]:
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


@asynccontextmanager
async def _as_shown(
    request: web.Request, route: Route, asking: AbstractAsyncContextManager[Answer]
) -> AsyncIterator[Answer]:
    """The answer without the files that rules withhold from this caller."""
    async with asking as answer:
        if request.app[POLICY].rules is None or answer.status != 200 or route.kind not in SHOWING_FILES:
            yield answer
            return
        coded = b"".join([chunk async for chunk in answer.body])
        coding = answer.headers.get("Content-Encoding", "")
        plain = identity(coded, coding, max_size=_MAX_SHOWN_BODY, asked=request.path)
        told = await shown(request, route, plain)
        if told.withheld:
            for name in ("Content-Encoding", "ETag"):
                answer.headers.popall(name, None)
            answer.headers["Content-Length"] = str(len(told.body))
            answer.headers.add(WARNING, told.warning)
        yield Answer(answer.status, answer.reason, answer.headers, _one(told.body if told.withheld else coded))


async def _one(chunk: bytes) -> AsyncIterator[bytes]:
    if chunk:
        yield chunk


def _question(
    request: web.Request, target: str, route: Route, body: ClientBody | AsyncIterator[bytes] | bytes
) -> Question:
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
        credential=request[ACTING],
        base=base_url(request),
        prefix=path_prefix(request),
        caller=request[CALLER],
    )


async def _send(
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
