"""Relays calls: to the Hub, along a file's redirects, and to the places that tickets lead to."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from hfproxy.errors import HubFailed, HubMisspoke, UpstreamError
from hfproxy.features.access.accounts import HubAccounts
from hfproxy.features.access.real_names import RealNames
from hfproxy.features.audit.service import AuditTrail
from hfproxy.features.passthrough.models import Answer, Question
from hfproxy.features.passthrough.tickets import TicketOffice
from hfproxy.features.passthrough.trail import action_of, changes_something
from hfproxy.features.passthrough.xet_tokens import XetGrant, XetTokens
from hfproxy.upstream.addresses import HubAddresses, Origin
from hfproxy.upstream.calls import Kind
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.coding import identity
from hfproxy.upstream.credentials import NOBODY, Credential
from hfproxy.upstream.headers import ERROR_CODE, asked_of_the_hub
from hfproxy.upstream.lfs import Target
from hfproxy.upstream.redirects import led_to
from hfproxy.upstream.refs import BucketRef, HubRef
from hfproxy.upstream.resolving import (
    MAX_HOPS,
    REDIRECTS,
    asked_of_a_store,
    head_without_asking,
    metadata_of,
    whole_answer,
)
from hfproxy.upstream.rewriting import Rewriting, changes_body, is_fileinfo, without_fileinfo
from hfproxy.upstream.routes import Route
from hfproxy.upstream.streaming import StreamedAnswer
from hfproxy.upstream.unsaid import lacks_repo_code
from hfproxy.upstream.xet import XetMode, XetOffers, XetRoad
from hfproxy.writes import WriteWatcher, Written

TICKET_PATH = "/-/lfs/"
CAS_PATH = "/-/xet/cas"
# A name without an owner in their bodies is one of the account behind the token.
_OWNED_BY_WHO_ASKS = frozenset({Kind.CREATE, Kind.DELETE, Kind.DUPLICATE})
_MAX_READ_BODY = 64 * 1024**2
_MAX_REDIRECT_BODY = 64 * 1024


class RelayService:
    """Passes calls on as they came, and answers with nothing changed but what would lead the caller elsewhere."""

    def __init__(
        self,
        *,
        hub: HubClient,
        tickets: TicketOffice,
        trail: AuditTrail,
        names: RealNames,
        accounts: HubAccounts,
        watchers: Sequence[WriteWatcher],
        xet_mode: XetMode,
        xet_tokens: XetTokens,
    ) -> None:
        self._hub = hub
        self._tickets = tickets
        self._trail = trail
        self._names = names
        self._accounts = accounts
        self._watchers = watchers
        self._xet_mode, self._xet_tokens = xet_mode, xet_tokens
        self._addresses = HubAddresses(hub.endpoint)
        self._upstream_prefix = URL(hub.endpoint).raw_path.rstrip("/")

    @asynccontextmanager
    async def ask(self, question: Question) -> AsyncIterator[Answer]:
        """The Hub's answer, whatever its status. Raises UpstreamError where there is none, CallerNotAllowed."""
        route = question.route
        await self._names.check(
            question.caller, *_there_already(question.method, route), credential=question.credential
        )
        if route.kind is Kind.RESOLVE and question.method in {"GET", "HEAD"}:
            async with self._ask_for_file(question) as answer:
                yield answer
            return
        asking = self._ask_to_write if changes_something(question.method, route) else self._ask_to_read
        async with asking(question) as answer:
            yield answer

    @asynccontextmanager
    async def ask_store(self, question: Question, target: Target) -> AsyncIterator[Answer]:
        """The answer of the place that a ticket leads to; no token of ours goes there."""
        path = self._addresses.path_of(target.address)
        url = self._hub.address(path) if path is not None else URL(target.address, encoded=True)
        headers = asked_of_the_hub(question.headers)
        if target.authorization is not None:
            headers.append(("Authorization", target.authorization))
        rewriting = self._rewriting(question)
        async with self._hub.stream(
            question.method, url, credential=NOBODY, headers=headers, body=question.body
        ) as streamed:
            told = CIMultiDict(rewriting.headers(question.route, streamed.headers.items()))
            if "Location" in told:
                moved = str(led_to(url, streamed.headers["Location"], streamed.asked))
                told["Location"] = rewriting.ticket(
                    replace(target, address=moved, authorization=None, oid=None, size_bytes=None)
                )
            yield Answer(streamed.status, streamed.reason, told, streamed.chunks())

    @asynccontextmanager
    async def _ask_to_read(self, question: Question) -> AsyncIterator[Answer]:
        async with self._stream(question, self._hub.address(question.target), self._sent(question)) as streamed:
            yield await self._answer(question, streamed)

    @asynccontextmanager
    async def _ask_to_write(self, question: Question) -> AsyncIterator[Answer]:
        """Kept in the trail before it is sent, and told to the watchers before the caller hears of it."""
        question = await self._with_owners(question)
        route = question.route
        action, asked = action_of(question.method, question.target, route)
        new_repo = route.repos[1] if len(route.repos) > 1 else None
        async with self._trail.writing(
            action,
            caller=question.caller,
            credential=question.credential,
            repo=route.repo,
            new_repo=new_repo,
            asked=asked,
        ) as told:
            try:
                async with self._stream(question, self._hub.address(question.target), self._sent(question)) as streamed:
                    told.status = streamed.status
                    answer = await self._answer(question, streamed)
                    await self._tell(question, streamed.status)
                    yield self._telling_at_the_end(question, answer) if route.kind is Kind.GIT_PUSH else answer
            except UpstreamError:
                await self._tell(question, None)
                raise

    async def with_bucket_owners(self, route: Route, credential: Credential) -> Route:
        """The same, buckets of `me` given to the account that asks. Raises UpstreamError."""
        if not any(isinstance(ref, BucketRef) and ref.is_of_who_asks for ref in route.named + route.sources):
            return route
        buckets = tuple([await self._accounts.owning_bucket(ref, credential) for ref in route.buckets])
        sources = [
            await self._accounts.owning_bucket(ref, credential) if isinstance(ref, BucketRef) else ref
            for ref in route.sources
        ]
        return replace(route, buckets=buckets, sources=tuple(sources))

    async def _with_owners(self, question: Question) -> Question:
        """The same, names without an owner given to the account that asks."""
        refs = question.route.repos
        if question.route.kind not in _OWNED_BY_WHO_ASKS or all(ref.namespace is not None for ref in refs):
            return question
        named = tuple([await self._accounts.owning(ref, question.credential) for ref in refs])
        return replace(question, route=replace(question.route, repos=named))

    @asynccontextmanager
    async def _ask_for_file(self, question: Question) -> AsyncIterator[Answer]:
        """A file as one answer of 200 or 206, its redirects followed here: every client takes it (contract 4.4)."""
        url = self._hub.address(question.target)
        sent = self._sent(question)
        hops: list[CIMultiDictProxy[str]] = []
        for _ in range(MAX_HOPS):
            metadata = metadata_of(hops)
            at_home = Origin.of(url) == self._hub.origin
            if not at_home and question.method == "HEAD" and (headers := head_without_asking(metadata)) is not None:
                told = CIMultiDict(self._rewriting(question).headers(question.route, headers.items()))
                yield Answer(200, "OK", told, _nothing())
                return
            async with self._stream(question, url, sent if at_home else asked_of_a_store(sent, metadata)) as streamed:
                location = streamed.headers.get("Location")
                if streamed.status not in REDIRECTS or location is None:
                    if not at_home and streamed.status >= 400 and streamed.status != 416:
                        raise HubFailed("the store of bytes refused", hub_status=streamed.status, asked=streamed.asked)
                    if hops and streamed.status < 400:
                        headers = whole_answer(metadata, streamed.headers)
                    else:
                        headers = CIMultiDict(streamed.headers)
                    yield await self._answer(question, streamed, headers)
                    return
                hops.append(streamed.headers)
                await streamed.read(max_size=_MAX_REDIRECT_BODY)
            url = self._next_hop(url, location, streamed.asked)
        raise HubMisspoke(f"more than {MAX_HOPS} redirects", asked=f"{question.method} {question.target}")

    def _next_hop(self, url: URL, location: str, asked: str) -> URL:
        if (path := self._addresses.path_of(location)) is not None:
            return self._hub.address(path)
        target = led_to(url, location, asked)
        if not self._may_lead_to(target):
            raise HubMisspoke(f"a redirect to {target.scheme}://{target.host}", asked=asked)
        return target

    @asynccontextmanager
    async def _stream(
        self, question: Question, url: URL, headers: list[tuple[str, str]]
    ) -> AsyncIterator[StreamedAnswer]:
        credential = NOBODY if question.route.kind is Kind.OAUTH else question.credential
        async with self._hub.stream(
            question.method, url, credential=credential, headers=headers, body=question.body
        ) as streamed:
            yield streamed

    async def _answer(
        self, question: Question, streamed: StreamedAnswer, headers: CIMultiDict[str] | None = None
    ) -> Answer:
        route, rewriting = question.route, self._rewriting(question)
        said = headers if headers is not None else streamed.headers
        told = CIMultiDict(rewriting.headers(route, said.items()))
        if lacks_repo_code(streamed.status, said, route, token_sent=question.credential.token is not None):
            told[ERROR_CODE] = "RepoNotFound"
        fileinfo = is_fileinfo(said.get("Content-Type", "")) and question.method == "GET"
        if not (changes_body(question.method, route, self._xet_mode, question.offers) or fileinfo):
            return Answer(streamed.status, streamed.reason, told, streamed.chunks())
        coded = await streamed.read(max_size=_MAX_READ_BODY)
        coding = said.get("Content-Encoding", "")
        plain = identity(coded, coding, max_size=_MAX_READ_BODY, asked=streamed.asked)
        changed = rewriting.body(route, plain, fileinfo=fileinfo)
        if changed is plain:
            return Answer(streamed.status, streamed.reason, told, _one(coded))
        told.popall("Content-Encoding", None)
        if streamed.status not in {204, 304}:
            told["Content-Length"] = str(len(changed))
        return Answer(streamed.status, streamed.reason, told, _one(changed))

    def _sent(self, question: Question) -> list[tuple[str, str]]:
        """The headers for the Hub: whole and uncoded where we read the answer, or where its length is the file's."""
        route = question.route
        file = route.kind is Kind.RESOLVE and route.bucket is None
        plain = changes_body(question.method, route, self._xet_mode, question.offers) or (
            file and question.method == "HEAD"
        )
        headers = []
        for name, value in asked_of_the_hub(question.headers):
            lower = name.casefold()
            if lower == "accept-encoding" and plain:
                continue
            if lower == "accept" and file and question.offers is not XetOffers.ALL:
                value = without_fileinfo(value)
            headers.append((name, value))
        if plain:
            headers.append(("Accept-Encoding", "identity"))
        return headers

    def _rewriting(self, question: Question) -> Rewriting:
        asks, repo = question.caller, question.route.repo

        def ticket(target: Target) -> str:
            if target.holder is None and repo is not None:
                holder = (asks.kind, asks.name, asks.id or "", str(asks.role))
                key_id = asks.id if asks.kind == "key" else None
                target = replace(target, key_id=key_id, repo=str(repo), holder=holder)
            return f"{question.base}{TICKET_PATH}{self._tickets.issue(target)}"

        return Rewriting(
            base=question.base,
            prefix=question.prefix,
            upstream_prefix=self._upstream_prefix,
            addresses=self._addresses,
            ticket=ticket,
            xet=self._xet_road(question),
            offers=question.offers,
        )

    def _xet_road(self, question: Question) -> XetRoad:
        route = question.route

        @cache  # headers and body of an answer say the same
        def seal(cas: str, token: str) -> str:
            asked = f"{question.method} {question.target}"
            if not self._may_lead_to(led_to(URL(self._hub.endpoint), cas, asked)):
                raise HubMisspoke(f"a Xet store at {cas!r}", asked=asked)
            return self._xet_tokens.issue(
                XetGrant(
                    cas=cas,
                    token=token,
                    caller=question.caller,
                    repo=str(route.named[0]) if route.named else None,
                    revision=route.revision or "",
                    writes=route.kind is not Kind.XET_READ_TOKEN,
                )
            )

        return XetRoad(self._xet_mode, question.base + CAS_PATH, seal)

    def _may_lead_to(self, target: URL) -> bool:
        """Whether the Hub may send us there: to any host, but never from https to something weaker."""
        return bool(target.host) and target.scheme in {"https", self._hub.origin.scheme}

    async def _tell(self, question: Question, status: int | None) -> None:
        path = question.target.partition("?")[0]
        written = Written(question.method, path, question.route, status, question.caller.name)
        for watcher in self._watchers:
            await watcher(written)

    def _telling_at_the_end(self, question: Question, answer: Answer) -> Answer:
        """A push changes the repository while its answer is being told: its end counts too."""

        async def body() -> AsyncIterator[bytes]:
            async for chunk in answer.body:
                yield chunk
            await self._tell(question, answer.status)

        return Answer(answer.status, answer.reason, answer.headers, body())


def _there_already(method: str, route: Route) -> tuple[HubRef, ...]:
    """What a call names that is there, and may go by another name by now; the rest is to be made."""
    if route.kind is Kind.CREATE and method not in {"GET", "HEAD", "DELETE"}:
        return route.sources
    named = route.named if route.kind is Kind.DUPLICATE_LFS else route.named[:1]
    return named + route.sources


async def _one(chunk: bytes) -> AsyncIterator[bytes]:
    if chunk:
        yield chunk


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


def described(route: Route) -> dict[str, object]:
    """What the request's log line says of a relayed call."""
    facts: dict[str, object] = {"outcome": "relayed", "kind": route.kind.value}
    if route.repo is not None:
        facts["repo_id"] = route.repo.repo_id
    return facts
