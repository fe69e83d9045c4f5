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
from hfproxy.features.access.decisions import require_hub_call
from hfproxy.features.access.real_names import REAL_NAMES
from hfproxy.features.files.routes import LISTED
from hfproxy.features.metadata.asking import BASE, ask, asked
from hfproxy.features.metadata.service import MetadataService, is_stale
from hfproxy.features.passthrough.service import RelayService
from hfproxy.features.passthrough.xet_offers import offers_of_xet
from hfproxy.features.policy.judging import judge_call, shown
from hfproxy.features.policy.withholding import WARNING, Told
from hfproxy.keys import ACTING
from hfproxy.upstream.calls import Kind
from hfproxy.upstream.rewriting import OFFERING_XET, offering
from hfproxy.upstream.routes import Route, UnsafePath, classify
from hfproxy.upstream.xet import XetOffers

METADATA: Final = web.AppKey("metadata", MetadataService)
Relay = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PATH = re.compile(r"/api/(?:models|datasets|spaces|kernels)(?:/.+)?")
_LIST = re.compile(r"/api/(?:models|datasets|spaces|kernels)/?")
_MAX_QUESTION = 1024**2


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
        key, question = asked(
            request.method,
            target,
            route,
            headers=request.headers.items(),
            body=body,
            credential=request[ACTING],
            caller=request[CALLER],
        )
        spoken, status = await request.app[METADATA].answer(
            key, request[ACTING], lambda: ask(relay_service(request), question)
        )
        if route.kind is Kind.TREE and spoken.status == 200:
            request.app[LISTED].take_in(key.repo, route.revision, target, spoken.body)
        request[RELAYED] = True
        headers = CIMultiDict((name, value.replace(BASE, base_url(request))) for name, value in spoken.headers)
        headers["Cache-Status"] = f"hfproxy; {status}"
        said = spoken.body
        if route.kind in OFFERING_XET and route.repo is not None:
            # A Hub that cannot be asked gives no tokens.
            said = offering(said, XetOffers.NONE if is_stale(status) else await offers_of_xet(request, route.repo))
        told = await shown(request, route, said) if spoken.status == 200 else Told(said)
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
