"""Puts relayed calls before the rules: what the path demands, what an upload brings, what an answer may show."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

from aiohttp import web

from hfproxy.downstream.access import CALLER, Caller, Role
from hfproxy.downstream.coded import refuse_coded
from hfproxy.errors import BadRequest
from hfproxy.features.files.routes import FILES
from hfproxy.features.policy.commits import Brought, announced, announced_sizes, operated_on, set_aside
from hfproxy.features.policy.matching import ANY
from hfproxy.features.policy.models import Action
from hfproxy.features.policy.roads import demands
from hfproxy.features.policy.routes import POLICY
from hfproxy.features.policy.service import Policy, SizeOf, Subject
from hfproxy.features.policy.withholding import Told, without_withheld
from hfproxy.keys import ACTING, SETTINGS
from hfproxy.upstream.calls import Kind, Right
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.lfs import Target
from hfproxy.upstream.refs import BadReference, FileRef, HubRef, parse_printed
from hfproxy.upstream.routes import Route

SHOWING_FILES = frozenset({Kind.TREE, Kind.PATHS_INFO, Kind.INFO})
BRINGING_FILES = frozenset({Kind.PREUPLOAD, Kind.COMMIT})


async def judge_call(request: web.Request, target: str, route: Route, body: bytes | None) -> None:
    """Passes if the rules allow what this call is. body: what was read of it, for calls that say there what they do.

    Raises PolicyDenied, UpstreamError.
    """
    policy = request.app[POLICY]
    if policy.rules is None:
        return
    caller, credential = request[CALLER], request[ACTING]
    for demand in demands(request.method, target, route):
        size_of = _size_of(request, target, route, credential) if demand.action is Action.READ else None
        await policy.require(
            caller, demand.action, demand.subject, credential=credential, file=demand.file, size_of=size_of
        )
    if route.kind is Kind.LFS_BATCH and route.right is Right.WRITE and route.repo is not None and body is not None:
        for size_bytes in announced_sizes(body):
            await policy.require(caller, Action.WRITE, route.repo, credential=credential, size_bytes=size_bytes)
    bucket = route.bucket if route.kind is Kind.BUCKET_BATCH and body is not None else None
    if bucket is not None and not await policy.allows(caller, Action.WRITE, bucket, credential=credential, file=ANY):
        await _require_all(policy, caller, credential, bucket, operated_on(body or b""))


def brings_files(request: web.Request, route: Route) -> bool:
    """Whether a call brings files that some rule could be about."""
    rules = request.app[POLICY].rules
    return rules is not None and rules.about_files and route.kind in BRINGING_FILES and route.repo is not None


@asynccontextmanager
async def judged_upload(
    request: web.Request, route: Route, body: AsyncIterator[bytes]
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The body of a `preupload` or a commit, all that it names allowed. Raises PolicyDenied, BodyTooLarge."""
    assert route.repo is not None
    policy, caller, credential = request.app[POLICY], request[CALLER], request[ACTING]
    if await policy.allows(caller, Action.WRITE, route.repo, credential=credential, file=ANY):
        yield body  # whatever it brings
        return
    refuse_coded(request, "rules look into this: send the body without a Content-Encoding")
    async with AsyncExitStack() as stack:
        try:
            aside = await stack.enter_async_context(set_aside(body, request.app[SETTINGS].storage.root))
        except web.RequestPayloadError as error:
            raise BadRequest(f"the body is broken: {error}") from None
        if route.kind is Kind.PREUPLOAD:
            brought = announced(b"".join([chunk async for chunk in aside]))
        else:
            brought = await aside.brought()
        await _require_all(policy, caller, credential, route.repo, brought)
        yield aiter(aside)


async def _require_all(
    policy: Policy, caller: Caller, credential: Credential, repo: HubRef, brought: list[Brought]
) -> None:
    for each in dict.fromkeys(brought):
        await policy.require(
            caller, Action.WRITE, repo, credential=credential, file=each.file, size_bytes=each.size_bytes
        )


async def shown(request: web.Request, route: Route, body: bytes) -> Told:
    """What of an answer this caller may see. Raises UpstreamError."""
    policy, caller, credential = request.app[POLICY], request[CALLER], request[ACTING]
    rules = policy.rules
    if rules is None or not rules.about_files or route.kind not in SHOWING_FILES or not route.named or not body:
        return Told(body)
    repo = route.named[0]
    if await policy.allows(caller, Action.READ, repo, credential=credential, file=ANY):
        return Told(body)

    async def withholds(path: str, size_bytes: int | None) -> bool:
        return await policy.withholds(caller, repo, path, size_bytes, credential=credential)

    return await without_withheld(route.kind, body, withholds)


def _size_of(request: web.Request, target: str, route: Route, credential: Credential) -> SizeOf | None:
    if route.kind not in {Kind.RESOLVE, Kind.RAW} or route.bucket is not None:
        return None
    try:
        ref = FileRef.parse(target.partition("?")[0], verb=route.kind.value)
    except BadReference:
        return None

    async def size_of() -> int:
        return (await request.app[FILES].lookup.find(ref, credential)).entry.size_bytes

    return size_of


def judge_ticket(request: web.Request, target: Target) -> None:
    """Passes if the rules of now allow what a ticket was given out for. Raises PolicyDenied.

    What hangs on a licence was judged when the ticket was asked for: who uses it sends no token to ask the Hub with.
    """
    policy = request.app[POLICY]
    if policy.rules is None or target.holder is None or target.repo is None:
        return
    subject, reads = Subject.of(parse_printed(target.repo)), "GET" in target.methods
    if reads:
        policy.require_now(holder_of(target), Action.READ, subject, file=ANY)
    else:
        policy.require_now(holder_of(target), Action.WRITE, subject, size_bytes=target.size_bytes)


def holder_of(target: Target) -> Caller:
    """The caller whom a ticket was given to."""
    assert target.holder is not None
    kind, name, key_id, role = target.holder
    known: Literal["key", "hub_token", "anonymous"] = (
        "key" if kind == "key" else "hub_token" if kind == "hub_token" else "anonymous"
    )
    return Caller(name, Role.named(role), known, key_id or None)
