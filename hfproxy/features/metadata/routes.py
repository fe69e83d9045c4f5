"""Questions about repositories over HTTP."""

import re
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.web_urldispatcher import DynamicResource
from multidict import CIMultiDict

from hfproxy.downstream.access import CALLER, Role
from hfproxy.downstream.base_url import base_url
from hfproxy.downstream.browsers import RELAYED
from hfproxy.errors import HubMisspoke
from hfproxy.features.access.decisions import require_hub_call
from hfproxy.features.access.real_names import REAL_NAMES
from hfproxy.features.files.rights import audience
from hfproxy.features.metadata.models import AnswerKey
from hfproxy.features.metadata.service import MetadataService, Spoken
from hfproxy.features.passthrough.models import Question
from hfproxy.features.passthrough.service import RelayService
from hfproxy.features.policy.judging import judge_call, shown
from hfproxy.features.policy.withholding import WARNING, Told
from hfproxy.keys import ACTING
from hfproxy.upstream.routes import Kind, Route, UnsafePath, classify

METADATA: Final = web.AppKey("metadata", MetadataService)
Relay = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PATH = re.compile(r"/api/(?:models|datasets|spaces|kernels)(?:/.+)?")
_LIST = re.compile(r"/api/(?:models|datasets|spaces|kernels)/?")
# Stands for our address in what is kept: each caller knows us by another (RFC 6761 keeps the name from all others).
_BASE = "http://gateway.invalid"
_MAX_BODY = 64 * 1024**2
_MAX_QUESTION = 1024**2
# What would make the Hub's answer one for this caller's copy, or a coded one.
_NOT_ASKED = frozenset(
    {"if-none-match", "if-modified-since", "range", "if-range", "accept-encoding", "content-length", "cookie"}
)
_NOT_KEPT = frozenset(
    {"date", "content-length", "transfer-encoding", "connection", "set-cookie", "x-request-id", "ratelimit"}
    | {"ratelimit-policy", "via", "age", "x-amz-cf-id", "x-amz-cf-pop", "x-cache", "server", "keep-alive"}
)
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})


class MetadataPaths(DynamicResource):
    """Matches the undecoded paths that may be questions about repositories; the handler looks closer."""

    def __init__(self) -> None:
        super().__init__("/api/{question}")

    def _match(self, path: str) -> dict[str, str] | None:
        return {"question": path} if _PATH.fullmatch(path) else None


def answering(relay_service: Callable[[web.Request], RelayService], relay: Relay) -> Relay:
    """The handler of these paths; what it does not keep goes to `relay`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        target = request.raw_path
        route = _keepable(request, target)
        if route is None:
            return await relay(request)
        require_hub_call(request[CALLER], request.method, *route.repos, role=Role.READER, shared=route.shared)
        await judge_call(request, target, route, None)
        # What is kept is asked past the relay, which would look where a name leads.
        await request.app[REAL_NAMES].check(request[CALLER], *route.repos, credential=request[ACTING])
        body = await request.read() if request.method == "POST" else b""
        question = Question(
            method=request.method,
            target=target,
            headers=[(name, value) for name, value in request.headers.items() if name.casefold() not in _NOT_ASKED]
            + [("Accept-Encoding", "identity")]
            + ([("Content-Length", str(len(body)))] if body else []),
            body=body or None,
            route=route,
            credential=request[ACTING],
            base=_BASE,
            prefix="",
            caller=request[CALLER],
        )
        key = AnswerKey(
            repo=str(route.repo.folded) if route.repo is not None else "",
            audience=audience(request[ACTING]),
            method=request.method,
            target=target,
            body=body,
        )
        spoken, status = await request.app[METADATA].answer(
            key, request[ACTING], lambda: _ask(relay_service(request), question)
        )
        request[RELAYED] = True
        headers = CIMultiDict((name, value.replace(_BASE, base_url(request))) for name, value in spoken.headers)
        headers["Cache-Status"] = f"hfproxy; {status}"
        told = await shown(request, route, spoken.body) if spoken.status == 200 else Told(spoken.body)
        if told.withheld:
            headers.popall("ETag", None)
            headers.add(WARNING, told.warning)
        return web.Response(status=spoken.status, headers=headers, body=told.body)

    return answer


def _keepable(request: web.Request, target: str) -> Route | None:
    """The question, if its answer is one that is kept."""
    path = target.partition("?")[0]
    try:
        route = classify(request.method, target)
    except UnsafePath:
        return None
    if request.method == "GET" and (route.kind in {Kind.INFO, Kind.TREE} or _LIST.fullmatch(path)):
        return route
    length = request.content_length
    if request.method == "POST" and route.kind is Kind.PATHS_INFO and length is not None and length <= _MAX_QUESTION:
        return route
    return None


async def _ask(relay: RelayService, question: Question) -> Spoken:
    async with relay.ask(question) as answer:
        body = bytearray()
        async for chunk in answer.body:
            body += chunk
            if len(body) > _MAX_BODY:
                raise HubMisspoke(f"an answer of more than {_MAX_BODY} bytes", asked=question.target)
        headers = tuple((name, value) for name, value in answer.headers.items() if name.casefold() not in _NOT_KEPT)
        told = headers if answer.status < 400 else tuple(answer.headers.items())  # an error tells its limits too
        return Spoken(answer.status, tuple((n, v) for n, v in told if n.casefold() not in _FRAMING), bytes(body))
