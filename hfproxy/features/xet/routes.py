"""Xet over HTTP. Both paths know their caller by what the gateway itself sealed, so no key of a client is asked for."""

import re
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from aiohttp import web

from hfproxy.downstream.access import Caller, Role
from hfproxy.downstream.base_url import base_url
from hfproxy.downstream.browsers import RELAYED
from hfproxy.downstream.credentials import sent_secret
from hfproxy.downstream.forwarded import ORIGIN
from hfproxy.downstream.middleware import note_end
from hfproxy.downstream.sending import send_piece
from hfproxy.errors import BadRequest, CallerNotAllowed, CallerUnknown
from hfproxy.facts import note
from hfproxy.features.access.keyring import KEY_RING
from hfproxy.features.passthrough.exchange import moving, question_of, send_answer
from hfproxy.features.passthrough.routes import TICKETS, XET_TOKENS
from hfproxy.features.passthrough.service import CAS_PATH, TICKET_PATH
from hfproxy.features.passthrough.xet_tokens import XetGrant
from hfproxy.features.policy.matching import ANY, NONE
from hfproxy.features.policy.models import Action
from hfproxy.features.policy.routes import POLICY
from hfproxy.features.policy.service import Subject
from hfproxy.features.policy.taking import transfer
from hfproxy.features.xet import places
from hfproxy.features.xet.places import Place, Places
from hfproxy.features.xet.service import CasService, XorbService
from hfproxy.upstream.calls import Kind, Right
from hfproxy.upstream.lfs import Target
from hfproxy.upstream.refs import parse_printed
from hfproxy.upstream.routes import Route
from hfproxy.upstream.xet import XorbRange

CAS: Final = web.AppKey("xet_cas", CasService)
XORBS: Final = web.AppKey("xet_xorbs", XorbService)
PLACES: Final = web.AppKey("xet_places", Places)
_GRANT: Final = web.RequestKey("xet_grant", XetGrant)
_PLACE: Final = web.RequestKey("xet_place", Place)
_ROUTE = Route(Kind.OTHER, Right.READ)
_UPLOADS = ("/v1/xorbs/",)
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})")


async def holder_of_token(request: web.Request) -> Caller:
    """Who was given the Xet token that came. Raises CallerUnknown."""
    sent = sent_secret(request.headers)
    if sent is None:
        raise CallerUnknown("Xet calls take the token that this gateway gave for them")
    grant = request[_GRANT] = request.app[XET_TOKENS].read(sent.secret, address=_address(request))
    return await _still_known(request, grant.caller)


async def holder_of_place(request: web.Request) -> Caller:
    """Who was given the address that is asked. Raises PlaceExpired, CallerUnknown."""
    place = request[_PLACE] = request.app[PLACES].read(request.match_info["place"], address=_address(request))
    return await _still_known(request, place.caller)


async def holder_of_telemetry(_request: web.Request) -> Caller:
    """Nobody: what is told is not passed on."""
    return Caller("xet telemetry", Role.NONE)


async def _still_known(request: web.Request, caller: Caller) -> Caller:
    """The caller, if the gateway key they had opens anything now. Raises CallerUnknown."""
    if caller.kind == "key" and not await request.app[KEY_RING].opens(caller.id or ""):
        raise CallerUnknown("the gateway key that this transfer was begun with has expired or was revoked")
    return caller


async def ask_cas(request: web.Request) -> web.StreamResponse:
    """A call to the store that the caller's token is for."""
    grant, base = request[_GRANT], base_url(request)
    _judge(request, grant.caller, grant.repo, Action.WRITE if grant.writes else Action.READ)
    if grant.writes and "/reconstructions" in request.path:
        _judge(request, grant.caller, grant.repo, Action.READ)  # the store takes a token to write for one to read, too
    note(outcome="relayed", kind="xet", repo_id=grant.repo)
    target = request.raw_path.partition(CAS_PATH)[2]

    def place(found: XorbRange) -> str:
        return f"{base}{places.PATH}{request.app[PLACES].issue(found, grant.caller, grant.repo)}"

    def ticket(target: Target) -> str:
        asks = grant.caller
        key_id = asks.id if asks.kind == "key" else None
        holder = (asks.kind, asks.name, asks.id or "", str(asks.role))
        target = replace(target, key_id=key_id, repo=grant.repo, holder=holder)
        return f"{base}{TICKET_PATH}{request.app[TICKETS].issue(target)}"

    takes_place = target.startswith(_UPLOADS)
    async with moving(request) as (body, moved), transfer(request, takes_place=takes_place) as pace:
        body.pace = pace
        question = question_of(request, target, _ROUTE, body)
        asking = request.app[CAS].ask(question, grant, place=place, ticket=ticket)
        return await send_answer(request, asking, moved, pace)


async def send_xorb(request: web.Request) -> web.StreamResponse:
    """A range of a xorb; its address is the right to it."""
    found = request[_PLACE].range
    _judge(request, request[_PLACE].caller, request[_PLACE].repo, Action.READ)
    start, stop = _wanted(request.headers.get("Range"), found.start, found.stop)
    note(outcome="xorb", xorb=found.xorb, repo_id=request[_PLACE].repo)
    request[RELAYED] = True
    response = web.StreamResponse(
        status=206,
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Range": f"bytes {start}-{stop - 1}/*",
            "Cache-Control": "private, no-store",
        },
    )
    response.content_length = stop - start
    repo = request[_PLACE].repo or ""
    pieces = request.app[XORBS].pieces(found, start, stop, repo=repo, address=request.match_info["place"])
    async with aclosing(pieces), transfer(request) as pace:
        async for piece in pieces:
            if not response.prepared:
                await response.prepare(request)
            await send_piece(request, response, piece, pace=pace)
    await response.write_eof()
    note_end(request, response)
    return response


async def hear_telemetry(request: web.Request) -> web.Response:
    """What hf_xet tells of a transfer, at the root of the store's origin (contract 5.3): heard, and not passed on."""
    await request.read()
    return web.Response(status=204)


def _judge(request: web.Request, caller: Caller, repo: str | None, action: Action) -> None:
    """Passes if the rules of now allow what a token was given out for. Raises PolicyDenied.

    A xorb is of no one file: who may not read all files of a repository gets no token to read it.
    """
    policy = request.app[POLICY]
    if policy.rules is not None and repo is not None:
        policy.require_now(caller, action, Subject.of(parse_printed(repo)), file=ANY if action is Action.READ else NONE)


def _address(request: web.Request) -> str | None:
    address = request[ORIGIN].address
    return str(address) if address is not None else None


def _wanted(asked: str | None, start: int, stop: int) -> tuple[int, int]:
    """The bytes asked for; all of the place's without a Range. Raises BadRequest, CallerNotAllowed."""
    if asked is None:
        return start, stop
    if (match := _RANGE.fullmatch(asked.replace(" ", ""))) is None:
        raise BadRequest("one range of bytes, with both ends")
    first, last = int(match[1]), int(match[2])
    if not start <= first <= last < stop:
        raise CallerNotAllowed(f"this address is for the bytes {start}-{stop - 1} alone")
    return first, last + 1
