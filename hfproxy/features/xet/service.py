"""Xet's calls: what the store says is rewritten so that it leads here, and what lies in it is kept."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any
from urllib.parse import unquote

import structlog
from multidict import CIMultiDict
from yarl import URL

from hfproxy.downstream.sending import FilePiece
from hfproxy.errors import BadRequest, HubMisspoke
from hfproxy.features.files.patience import Patience
from hfproxy.features.passthrough.models import Answer, Question
from hfproxy.features.passthrough.xet_tokens import XetGrant
from hfproxy.features.xet.fetch import XorbFetch, read_blob
from hfproxy.features.xet.models import KeptRange
from hfproxy.features.xet.store import XorbIndex
from hfproxy.storage.blobs import BlobProblem, BlobStore
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.coding import identity
from hfproxy.upstream.credentials import NOBODY
from hfproxy.upstream.documents import print_document, read_document
from hfproxy.upstream.headers import asked_of_the_hub, told_to_the_caller
from hfproxy.upstream.lfs import Target
from hfproxy.upstream.streaming import StreamedAnswer
from hfproxy.upstream.xet import NotAReconstruction, XorbRange, in_version_1, in_version_2, rewrite_reconstruction
from hfproxy.upstream.xorbs import Xorbs

log = structlog.get_logger(__name__)

_RECONSTRUCTIONS = re.compile(r"/v\d+/reconstructions(?:/[^/]*)?")
_GRANTS = re.compile(r"/v\d+/xorb-grants/.+")
_CALLS = re.compile(r"/v\d+/[^?]*")
# Clients take these for «not in this version» and ask in the other.
_NO_SUCH_VERSION = frozenset({404, 501})
_MAX_READ_BODY = 64 * 1024**2
_MOST_FETCHES = 16
_MOST_REMEMBERED = 50_000

Pieces = AsyncGenerator[FilePiece | bytes]


class CasService:
    """Relays calls to the store that a caller's token is for, with the token the Hub gave for it."""

    def __init__(self, *, hub: HubClient) -> None:
        self._hub = hub

    @asynccontextmanager
    async def ask(
        self,
        question: Question,
        grant: XetGrant,
        *,
        place: Callable[[XorbRange], str],
        ticket: Callable[[Target], str],
    ) -> AsyncIterator[Answer]:
        """The store's answer. place: our address for a range of a xorb; ticket: for where a xorb is to be put.

        question: its target is what follows the store's address. Raises BadRequest, UpstreamError.
        """
        path = question.target.partition("?")[0]
        if not _CALLS.fullmatch(path) or {".", ".."} & set(unquote(path).split("/")):
            raise BadRequest(f"the store has no {path}")
        if _RECONSTRUCTIONS.fullmatch(path):
            async with self._reconstruction(question, grant, place) as answer:
                yield answer
            return
        async with self._stream(question, grant, question.target, whole=False) as streamed:
            told = CIMultiDict(told_to_the_caller(streamed.headers.items()))
            if not _GRANTS.fullmatch(path) or streamed.status not in {200, 201}:
                yield Answer(streamed.status, streamed.reason, told, streamed.chunks())
                return
            document = await _read(streamed)
            _grant_here(document, ticket)
            yield _json(streamed, told, document)

    @asynccontextmanager
    async def _reconstruction(
        self, question: Question, grant: XetGrant, place: Callable[[XorbRange], str]
    ) -> AsyncIterator[Answer]:
        finer = in_version_1(question.target) if question.method == "GET" else None
        for target in [finer, question.target] if finer is not None else [question.target]:
            async with self._stream(question, grant, target, whole=True) as streamed:
                if streamed.status in _NO_SUCH_VERSION and target is finer:
                    continue
                told = CIMultiDict(told_to_the_caller(streamed.headers.items()))
                if streamed.status != 200:
                    yield Answer(streamed.status, streamed.reason, told, streamed.chunks())
                    return
                document = await _read(streamed)
                try:
                    if target is finer:
                        in_version_2(document)
                    rewrite_reconstruction(document, place)
                except NotAReconstruction as error:
                    raise HubMisspoke(f"not a reconstruction: {error}", asked=streamed.asked) from None
                # It is told to one caller, and leads to bytes that others may not read.
                told["Cache-Control"] = "private, no-store"
                yield _json(streamed, told, document)
                return

    @asynccontextmanager
    async def _stream(
        self, question: Question, grant: XetGrant, target: str, *, whole: bool
    ) -> AsyncIterator[StreamedAnswer]:
        headers = [
            (name, value)
            for name, value in asked_of_the_hub(question.headers)
            if not (whole and name.casefold() == "accept-encoding")
        ]
        headers += [("Accept-Encoding", "identity")] if whole else []
        headers.append(("Authorization", f"Bearer {grant.token}"))
        url = URL(grant.cas.rstrip("/") + target, encoded=True)
        async with self._hub.stream(
            question.method, url, credential=NOBODY, headers=headers, body=question.body
        ) as streamed:
            if 300 <= streamed.status < 400 and streamed.status != 304:
                raise HubMisspoke("a Xet store that sends its callers elsewhere", asked=streamed.asked)
            yield streamed


class XorbService:
    """The bytes of xorbs: from what is kept, from a fetch that others may read too, or straight through.

    Who may read them is not its business: who holds an address of ours was given it with a reconstruction.
    """

    def __init__(self, *, xorbs: Xorbs, blobs: BlobStore, index: XorbIndex, patience: Patience) -> None:
        self._xorbs, self._blobs, self._index, self._patience = xorbs, blobs, index, patience
        self._fetches: dict[tuple[str, int, int, str], XorbFetch] = {}
        self._ended = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(_MOST_FETCHES)
        self._served: OrderedDict[str, None] = OrderedDict()

    async def pieces(
        self, place: XorbRange, start: int, stop: int, *, repo: str, address: str
    ) -> AsyncGenerator[FilePiece | bytes]:
        """The bytes [start, stop) of the range. Raises PlaceExpired before the first, UpstreamError.

        repo: whose reconstruction led here; to it alone is given what is not proven. address: what was asked. Clients
        ask one a second time where what they got was of no use to them; then only what is proven is given again, and
        all else is fetched anew.
        """
        position, again = start, address[:_TOLD_APART] in self._served
        kept = await self._found(place.xorb, start, stop, repo)
        if again and (unproven := [each for each in kept if not each.proven]):
            log.warning("xorb.doubted", xorb=place.xorb, ranges=len(unproven))
            await self._index.forget(place.xorb, unproven)
            kept = [each for each in kept if each.proven]
        if _covered(kept, start, stop):
            async with aclosing(self._kept(place.xorb, kept, start, stop)) as pieces:
                async for piece in pieces:
                    yield piece
                    position += len(piece)
        if position < stop:
            async with aclosing(self._fetched(place, position, stop, repo)) as pieces:
                async for piece in pieces:
                    yield piece
        self._remember(address)

    async def close(self) -> None:
        """Ends what is on its way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _found(self, xorb: str, start: int, stop: int, repo: str) -> list[KeptRange]:
        """The ranges that have a byte of [start, stop); looks again if a fetch ended meanwhile, which may have it."""
        while True:
            ended = self._ended
            kept = await self._index.touching(xorb, start, stop, repo=repo)
            if ended == self._ended or _covered(kept, start, stop):
                return kept

    async def _kept(self, xorb: str, kept: list[KeptRange], start: int, stop: int) -> Pieces:
        """What is kept, up to the first piece that turns out to be gone."""
        position = start
        while position < stop:
            holder = max((each for each in kept if each.start <= position < each.stop), key=lambda each: each.stop)
            piece = next((one for one in holder.pieces if one.start <= position < one.stop), None)
            try:
                if piece is None:
                    raise BlobProblem(f"the range of {xorb} has a hole at {position}")
                until = min(piece.stop, stop)
                async with aclosing(
                    read_blob(self._blobs, piece.key, position - piece.start, until - piece.start)
                ) as parts:
                    async for part in parts:
                        yield part
                        position += len(part)
            except BlobProblem as problem:
                log.info("xorb.gone", xorb=xorb, reason=str(problem))
                await self._index.forget(xorb, [holder])
                return

    async def _fetched(self, place: XorbRange, start: int, stop: int, repo: str) -> Pieces:
        position = start
        try:
            async with aclosing(self._fetch(place, repo).read(start, stop)) as pieces:
                async for piece in pieces:
                    yield piece
                    position += len(piece)
            return
        except BlobProblem as problem:
            log.warning("store.bypassed", blob=place.xorb, reason=str(problem), kind=type(problem).__name__)
        async with self._xorbs.open(place) as body:
            at = place.start
            async for chunk in body.chunks:
                at += len(chunk)
                wanted = chunk[max(0, position - (at - len(chunk))) : max(0, stop - (at - len(chunk)))]
                if wanted:
                    position += len(wanted)
                    yield wanted
        if position < stop:
            raise HubMisspoke("the range ended before it was whole", asked=place.xorb)

    def _fetch(self, place: XorbRange, repo: str) -> XorbFetch:
        """The one fetch of this range, begun if there is none."""
        key = (place.xorb, place.start, place.stop, repo)
        if (fetch := self._fetches.get(key)) is None:
            fetch = self._fetches[key] = XorbFetch(
                place, repo, xorbs=self._xorbs, blobs=self._blobs, index=self._index, patience=self._patience
            )
            task = asyncio.create_task(self._run(key, fetch), name=f"fetch xorb {place.xorb}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return fetch

    async def _run(self, key: tuple[str, int, int, str], fetch: XorbFetch) -> None:
        try:
            async with self._places:
                await fetch.run()
        finally:
            self._ended += 1
            del self._fetches[key]

    def _remember(self, address: str) -> None:
        self._served[address[:_TOLD_APART]] = None
        if len(self._served) > _MOST_REMEMBERED:
            self._served.popitem(last=False)


# An address begins with a nonce of its own.
_TOLD_APART = 32


def _covered(kept: list[KeptRange], start: int, stop: int) -> bool:
    for each in sorted(kept, key=lambda one: one.start):
        if each.start > start:
            return False
        start = max(start, each.stop)
    return start >= stop


async def _read(streamed: StreamedAnswer) -> Any:
    coded = await streamed.read(max_size=_MAX_READ_BODY)
    coding = streamed.headers.get("Content-Encoding", "")
    plain = identity(coded, coding, max_size=_MAX_READ_BODY, asked=streamed.asked)
    try:
        return read_document(plain) if plain else None
    except ValueError:
        raise HubMisspoke("not JSON", asked=streamed.asked) from None


def _grant_here(document: Any, ticket: Callable[[Target], str]) -> None:
    """Changes a grant in place: the xorb goes through us, and a credential for its place stays with us."""
    if not isinstance(document, dict) or not isinstance(document.get("url"), str):
        return
    method, headers = document.get("method"), document.get("headers")
    authorization = None
    if isinstance(headers, dict):
        for name in [name for name in headers if name.casefold() == "authorization"]:
            authorization = headers.pop(name)
    methods = (method.upper(),) if isinstance(method, str) else ("PUT",)
    document["url"] = ticket(Target(document["url"], methods, authorization))


def _json(streamed: StreamedAnswer, told: CIMultiDict[str], document: Any) -> Answer:
    body = print_document(document)
    told.popall("Content-Encoding", None)
    told["Content-Length"] = str(len(body))
    return Answer(streamed.status, streamed.reason, told, _one(body))


async def _one(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk
