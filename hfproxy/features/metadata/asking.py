"""Asks the Hub about repositories, through the relay, in the one form that is kept."""

from collections.abc import Iterable
from typing import Final

from hfproxy.downstream.access import Caller
from hfproxy.errors import HubMisspoke
from hfproxy.features.files.rights import audience
from hfproxy.features.metadata.models import AnswerKey, lasts
from hfproxy.features.metadata.service import Spoken
from hfproxy.features.passthrough.models import Question
from hfproxy.features.passthrough.service import RelayService
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.routes import Route
from hfproxy.upstream.xet import XetOffers

# Stands for our address in what is kept: each caller knows us by another (RFC 6761 keeps the name from all others).
BASE: Final = "http://gateway.invalid"
_MAX_BODY = 64 * 1024**2
# What would make the Hub's answer one for this caller's copy, or a coded one.
_NOT_ASKED = frozenset(
    {"if-none-match", "if-modified-since", "range", "if-range", "accept-encoding", "content-length", "cookie"}
)
_NOT_KEPT = frozenset(
    {"date", "content-length", "transfer-encoding", "connection", "set-cookie", "x-request-id", "ratelimit"}
    | {"ratelimit-policy", "via", "age", "x-amz-cf-id", "x-amz-cf-pop", "x-cache", "server", "keep-alive"}
)
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})


def asked(
    method: str,
    target: str,
    route: Route,
    *,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    credential: Credential,
    caller: Caller,
) -> tuple[AnswerKey, Question]:
    """What the answer is kept under, and what the Hub is asked; its offers of Xet are left in."""
    question = Question(
        method=method,
        target=target,
        headers=[(name, value) for name, value in headers if name.casefold() not in _NOT_ASKED]
        + [("Accept-Encoding", "identity")]
        + ([("Content-Length", str(len(body)))] if body else []),
        body=body or None,
        route=route,
        credential=credential,
        base=BASE,
        prefix="",
        caller=caller,
        offers=XetOffers.ALL,
    )
    key = AnswerKey(
        repo=str(route.repo.folded) if route.repo is not None else "",
        audience=audience(credential),
        method=method,
        target=target,
        body=body,
    )
    return key, question


async def ask(relay: RelayService, question: Question) -> Spoken:
    """What the Hub says, whole. Raises UpstreamError."""
    async with relay.ask(question) as answer:
        body = bytearray()
        async for chunk in answer.body:
            body += chunk
            if len(body) > _MAX_BODY:
                raise HubMisspoke(f"an answer of more than {_MAX_BODY} bytes", asked=question.target)
        headers = tuple((name, value) for name, value in answer.headers.items() if name.casefold() not in _NOT_KEPT)
        # An error tells its limits too, but for one that is kept.
        told = headers if answer.status < 400 or lasts(answer.status, headers) else tuple(answer.headers.items())
        return Spoken(answer.status, tuple((n, v) for n, v in told if n.casefold() not in _FRAMING), bytes(body))
