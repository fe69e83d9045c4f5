"""The relay over HTTP: a request is read only as far as it must be, an answer is sent as it arrives."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from aiohttp import web

from hfproxy.downstream.access import CALLER
from hfproxy.downstream.coded import refuse_coded
from hfproxy.errors import BadRequest, CallerNotAllowed, MethodNotAllowed, NotFound
from hfproxy.facts import note
from hfproxy.features.access.keyring import KEY_RING
from hfproxy.features.files.objects import answer_object, is_kept_by_its_name
from hfproxy.features.passthrough.client_body import ClientBody
from hfproxy.features.passthrough.exchange import UNTYPED, moving, question_of, send_answer
from hfproxy.features.passthrough.models import Answer
from hfproxy.features.passthrough.rights import check_rights
from hfproxy.features.passthrough.service import RelayService, described
from hfproxy.features.passthrough.tickets import BadTicket, TicketOffice
from hfproxy.features.passthrough.websockets import is_websocket, relay_websocket
from hfproxy.features.passthrough.xet_offers import offers_of_xet
from hfproxy.features.passthrough.xet_tokens import XetTokens
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
from hfproxy.upstream.calls import SAFE_METHODS, Kind, Right
from hfproxy.upstream.coding import identity
from hfproxy.upstream.lfs import without_xet
from hfproxy.upstream.refs import BadReference
from hfproxy.upstream.rewriting import OFFERING_XET
from hfproxy.upstream.routes import TOLD_BY_BODY, Route, UnsafePath, classify
from hfproxy.upstream.xet import XetOffers

RELAY: Final = web.AppKey("relay", RelayService)
TICKETS: Final = web.AppKey("tickets", TicketOffice)
XET_TOKENS: Final = web.AppKey("xet_tokens", XetTokens)
# The paths of our own features that take only some methods: the others must not reach the Hub.
OUR_PATHS: Final = web.AppKey("our_paths", Mapping[str, frozenset[str]])

_RELAYED_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_TRANSFERS = frozenset({Kind.RAW, Kind.RESOLVE, Kind.RESOLVE_CACHE, Kind.COMMIT, Kind.GIT_FETCH, Kind.GIT_PUSH})
# Nothing but rights and rules wants to know what these say.
_JUDGED_ALONE = frozenset({Kind.BUCKET_BATCH, Kind.COLLECTION})
_MAX_READ_BODY = 16 * 1024**2
_MAX_SHOWN_BODY = 64 * 1024**2
# What is JSON too could say one thing to us and another to who reads it as a form.
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_STORE_ROUTE = Route(Kind.OTHER, Right.READ)


async def relay(request: web.Request) -> web.StreamResponse:
    """Any call that no other feature serves."""
    target = request.raw_path
    path = target.partition("?")[0]
    _refuse_our_own(request, path)
    try:
        route = classify(request.method, target)
    except UnsafePath as error:
        raise BadRequest(str(error)) from None
    async with moving(request) as (body, moved), AsyncExitStack() as stack:
        read = await _read_if_told_by_body(request, route, body)
        if read is not None:
            route = _named(route, read)
            if route.kind is Kind.LFS_BATCH and request.app[SETTINGS].xet.mode == "http":
                read = without_xet(read)
        if request[CALLER].repos is not None or request.app[POLICY].rules is not None:
            route = await request.app[RELAY].with_bucket_owners(route, request[ACTING])
        check_rights(request[CALLER], request[ACTING], request.method, route)
        note(**described(route))
        await judge_call(request, target, route, read)
        takes_place = route.kind in _TRANSFERS
        body.pace = pace = await stack.enter_async_context(transfer(request, takes_place=takes_place))
        sent: ClientBody | AsyncIterator[bytes] | bytes = body if read is None else read
        if brings_files(request, route):
            sent = await stack.enter_async_context(judged_upload(request, route, aiter(body)))
        question = question_of(request, target, route, sent, offers=await _offers(request, route))
        if is_websocket(request):
            return await relay_websocket(request, request.app[HUB], question, moved)
        asking = request.app[RELAY].ask(question)
        if route.kind in SHOWING_FILES:
            asking = _as_shown(request, route, asking)
        return await send_answer(request, asking, moved, pace)


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
    async with moving(request) as (body, moved), transfer(request, holder) as pace:
        body.pace = pace
        question = question_of(request, request.raw_path, _STORE_ROUTE, body)
        return await send_answer(request, request.app[RELAY].ask_store(question, target), moved, pace)


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
    if route.kind not in TOLD_BY_BODY or request.method in SAFE_METHODS:
        return None
    if route.kind is Kind.CREATE and route.bucket is not None:
        return None  # its path says it all
    if route.kind in _JUDGED_ALONE and request[CALLER].repos is None and request.app[POLICY].rules is None:
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
        return replace(route, reaches=route.reaches or route.kind in _JUDGED_ALONE)


async def _offers(request: web.Request, route: Route) -> XetOffers:
    """What the answer may offer; most tell of no file."""
    if route.kind not in OFFERING_XET or route.repo is None:
        return XetOffers.NONE
    return await offers_of_xet(request, route.repo)


@asynccontextmanager
async def _as_shown(
    request: web.Request, route: Route, asking: AbstractAsyncContextManager[Answer]
) -> AsyncIterator[Answer]:
    """The answer without the files that rules withhold from this caller."""
    async with asking as answer:
        if request.app[POLICY].rules is None or answer.status != 200:
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
