"""Files of the Hub: what is known of one, and its bytes from any byte on.

The forms of the Hub's answers are those of contract 4.2. All questions are asked under `identity`: only then are
lengths and offsets those of the file (contract 9.5).
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from hfproxy.errors import HubMisspoke, UpstreamError
from hfproxy.facts import count_upstream_call, request_id
from hfproxy.upstream.addresses import HubAddresses, Origin
from hfproxy.upstream.calls import Kind, Right
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.faults import network_faults, refusal
from hfproxy.upstream.headers import (
    LINKED_ETAG,
    LINKED_SIZE,
    REPO_COMMIT,
    TRACE_ID,
    XET_HASH,
    normalise_etag,
    whole_number,
)
from hfproxy.upstream.long_bodies import long_body
from hfproxy.upstream.redirects import led_to
from hfproxy.upstream.refs import FileRef
from hfproxy.upstream.routes import Route
from hfproxy.upstream.shares import SMALL_SHARE, Share
from hfproxy.upstream.unsaid import lacks_repo_code

_MAX_HOPS = 6
_MAX_REFUSAL_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# A signed address that ran out says one of these (403 CloudFront and S3, the rest others): ask the Hub for a new one.
_EXPIRED = frozenset({401, 403, 404, 410})
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_XET_HASH = re.compile(r"[0-9a-f]{64}")
_UNNAMED_TYPE = "application/octet-stream"
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the Hub says of one file in one commit."""

    commit_hash: str
    etag: str
    size_bytes: int
    is_lfs: bool
    content_type: str
    content_disposition: str | None
    xet_hash: str | None = None


@dataclass(frozen=True, slots=True)
class LfsObject:
    """An LFS object at an address that the Hub gave for it, which carries its own right and runs out."""

    oid: str
    address: str = field(repr=False)

    @property
    def path(self) -> str:
        """What messages call it."""
        return f"LFS object {self.oid}"

    def url_path(self) -> str:
        """What stands for the address in messages: its signature is nobody's to see."""
        return f"/lfs/objects/{self.oid}"


@dataclass(slots=True)
class Way:
    """One way to a file's bytes: where it is named, on whose behalf, and the signed address that the Hub last gave.

    The address is kept for as long as somebody downloads, never longer (contract 4.2 B).
    """

    ref: FileRef | LfsObject
    credential: Credential
    headers: tuple[tuple[str, str], ...] = ()
    signed: URL | None = field(default=None, repr=False)

    @property
    def file(self) -> FileRef:
        """The name, of a way that has one."""
        assert isinstance(self.ref, FileRef)
        return self.ref


class FileBody:
    """A file's bytes from `start` on; `start` is 0 where the server ignores ranges."""

    def __init__(
        self, response: aiohttp.ClientResponse, start: int, asked: str, *, share: Share, stall_timeout_s: float
    ) -> None:
        self.start = start
        self._response, self._asked = response, asked
        self._share, self._stall_timeout_s = share, stall_timeout_s

    async def chunks(self) -> AsyncGenerator[bytes | memoryview]:
        """The bytes as they arrive. Raises UpstreamError if they stop before the end, or for too long.

        The memory of a view is used again once it is let go of: whoever keeps one keeps a place for what comes.
        """
        with network_faults(self._asked):
            if (body := long_body(self._response, self._share)) is not None:
                pieces = body.pieces(stall_timeout_s=self._stall_timeout_s)
            else:
                pieces = _as_parsed(self._response.content)
        async with aclosing(pieces):
            while True:
                with network_faults(self._asked):
                    if (piece := await anext(pieces, None)) is None:
                        return
                yield piece
                del piece  # its memory is wanted for the next


async def _as_parsed(content: aiohttp.StreamReader) -> AsyncGenerator[bytes | memoryview]:
    while not content.at_eof():
        # One by one: all that are there at once would be copied together.
        chunk, _ = await content.readchunk()
        if chunk:
            yield chunk


class HubFiles:
    """Asks for files over a session of their own, so that long downloads take no place from short calls."""

    def __init__(
        self, endpoint: str, session: aiohttp.ClientSession, *, answer_timeout_s: float, stall_timeout_s: float
    ) -> None:
        self._endpoint, self._session = endpoint, session
        self._addresses = HubAddresses(endpoint)
        self._origin = Origin.of(URL(endpoint))
        self._asking = aiohttp.ClientTimeout(total=answer_timeout_s)
        self._stall_timeout_s = stall_timeout_s
        self._reading = aiohttp.ClientTimeout(total=None, sock_read=stall_timeout_s)

    async def describe(self, way: Way) -> FileFacts:
        """What the Hub says of a file, under the name it was asked by (a renamed repository is followed).

        Raises HubRefused (404 `EntryNotFound` carries `X-Repo-Commit`), UpstreamError.
        """
        async with self._met("HEAD", way) as (facts, _):
            return facts

    def meet(self, way: Way) -> AbstractAsyncContextManager[tuple[FileFacts, FileBody | None]]:
        """What `describe` says, asked by GET, and the bytes where the Hub sends them itself. Raises as `describe`."""
        return self._met("GET", way)

    @asynccontextmanager
    async def open(
        self, way: Way, start: int, stop: int, *, size_bytes: int, etag: str, share: Share = SMALL_SHARE
    ) -> AsyncIterator[FileBody]:
        """The bytes [start, stop) of a file, or the whole file where the server ignores ranges.

        Raises UpstreamError; HubMisspoke where it is not the file that `size_bytes` and `etag` speak of.
        """
        asked = f"GET {way.ref.url_path()}"
        ranged = (("Range", f"bytes={start}-{stop - 1}"),) if (start, stop) != (0, size_bytes) else ()
        for last_try in (way.signed is None, True):
            url = way.signed or self._address(way.ref)
            for _ in range(_MAX_HOPS):
                async with self._ask("GET", url, way, ranged, asked, self._reading, share) as response:
                    if response.status in _REDIRECTS:
                        url = self._next(url, response, asked)
                        way.signed = url if Origin.of(url) != self._origin else None
                        continue
                    if response.status in _EXPIRED and not last_try:
                        break  # the kept address ran out
                    if response.status >= 400:
                        raise await _refused_with_words(response, asked, way)
                    named = etag if isinstance(way.ref, FileRef) else None
                    begun_at = self._check(response, url, start, size_bytes, named, asked)
                    yield self._body(response, begun_at, asked, share)
                    return
            way.signed = None
        raise HubMisspoke(f"more than {_MAX_HOPS} redirects", asked=asked)

    @asynccontextmanager
    async def _met(self, method: str, way: Way) -> AsyncIterator[tuple[FileFacts, FileBody | None]]:
        """The last answer that is the Hub's own, or the first that leads off it."""
        asked = f"{method} {way.ref.url_path()}"
        commit_hash: str | None = None
        url = self._address(way.ref)
        for _ in range(_MAX_HOPS):
            async with self._ask(method, url, way, (), asked, self._asking) as response:
                headers = response.headers
                commit_hash = commit_hash or headers.get(REPO_COMMIT)
                if response.status in _REDIRECTS:
                    url = self._next(url, response, asked)
                    if Origin.of(url) == self._origin:
                        continue
                if response.status >= 400:
                    raise await _refused_with_words(response, asked, way)
                facts = _facts(response.status, headers, commit_hash, asked)
                sent = response.status == 200 and headers.get("Content-Encoding", "identity") == "identity"
                yield facts, self._body(response, 0, asked) if sent else None
                return
        raise HubMisspoke(f"more than {_MAX_HOPS} redirects", asked=asked)

    @asynccontextmanager
    async def _ask(
        self,
        method: str,
        url: URL,
        way: Way,
        extra: Iterable[tuple[str, str]],
        asked: str,
        timeout: aiohttp.ClientTimeout,
        share: Share = SMALL_SHARE,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request, not redirected; the token goes to the Hub's own origin only."""
        headers = CIMultiDict([("Accept-Encoding", "identity"), ("Accept", "*/*"), *extra])
        if Origin.of(url) == self._origin:
            headers.extend(way.headers)
            if way.credential.token is not None:
                headers["Authorization"] = f"Bearer {way.credential.token}"
            if (trace_id := request_id()) is not None:
                headers[TRACE_ID] = trace_id
        count_upstream_call()
        with network_faults(asked):
            response = await self._session.request(
                method,
                url,
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
                auto_decompress=False,
                read_bufsize=share.unit_bytes,
            )
        async with response:
            if method == "HEAD" and response.status >= 400:
                raise _refused(response, b"", asked, way)
            yield response

    def _body(self, response: aiohttp.ClientResponse, start: int, asked: str, share: Share = SMALL_SHARE) -> FileBody:
        return FileBody(response, start, asked, share=share, stall_timeout_s=self._stall_timeout_s)

    def _address(self, ref: FileRef | LfsObject) -> URL:
        if isinstance(ref, FileRef):
            return URL(self._endpoint + ref.url_path(), encoded=True)
        path = self._addresses.path_of(ref.address)
        return URL(self._endpoint + path if path is not None else ref.address, encoded=True)

    def _next(self, url: URL, response: aiohttp.ClientResponse, asked: str) -> URL:
        """Where a redirect leads; an address of the public Hub leads to the one we speak to."""
        if not (location := response.headers.get("Location")):
            raise HubMisspoke("a redirect without an address", asked=asked)
        if (path := self._addresses.path_of(location)) is not None:
            return URL(self._endpoint + path, encoded=True)
        target = led_to(url, location, asked)
        if not target.host or (target.scheme != "https" and self._origin.scheme == "https"):
            raise HubMisspoke(f"a redirect to {target.scheme}://{target.host}", asked=asked)
        return target

    def _check(
        self, response: aiohttp.ClientResponse, url: URL, start: int, size_bytes: int, etag: str | None, asked: str
    ) -> int:
        """Where the body begins. Raises HubMisspoke if it is another file's, or no file's at all."""
        told = response.headers.get("ETag") if etag is not None and Origin.of(url) == self._origin else None
        if told and etag is not None and normalise_etag(told).lower() != etag.lower():
            # The CDN has etags of its own (contract 9.19); the Hub's must be the one it told before.
            raise HubMisspoke("another file than the one it described", asked=asked)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise HubMisspoke("a coded body where none was asked for", asked=asked)
        if response.status == 200:
            length = response.content_length
            if length is not None and length != size_bytes:
                raise HubMisspoke(f"{length} bytes where the file has {size_bytes}", asked=asked)
            return 0
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status != 206 or match is None or (int(match[1]), int(match[3])) != (start, size_bytes):
            raise HubMisspoke(f"an answer {response.status} that is not the range asked for", asked=asked)
        return start


async def _refused_with_words(response: aiohttp.ClientResponse, asked: str, way: Way) -> UpstreamError:
    with network_faults(asked):
        return _refused(response, await response.content.read(_MAX_REFUSAL_BYTES), asked, way)


def _refused(response: aiohttp.ClientResponse, body: bytes, asked: str, way: Way) -> UpstreamError:
    """The Hub's refusal, with the code that it leaves out and clients behind a gateway need (`unsaid.py`)."""
    error = refusal(response.status, response.headers, body, asked=asked, credential=way.credential)
    if not isinstance(way.ref, FileRef):
        return error
    route = Route(Kind.RESOLVE, Right.READ, (way.ref.repo,))
    if lacks_repo_code(response.status, response.headers, route, token_sent=way.credential.token is not None):
        error.hub_code = "RepoNotFound"
    return error


def _facts(status: int, headers: Mapping[str, str], commit_hash: str | None, asked: str) -> FileFacts:
    """What the last answer says; a redirect off the Hub speaks of the file in `X-Linked-*` only (contract 4.2 B)."""
    linked_etag, linked_size = headers.get(LINKED_ETAG), headers.get(LINKED_SIZE)
    etag, size = linked_etag or headers.get("ETag"), whole_number(linked_size or headers.get("Content-Length"))
    redirected = status in _REDIRECTS
    if redirected:
        etag, size = linked_etag, whole_number(linked_size)
    if not commit_hash or not etag or size is None or status not in {200, *_REDIRECTS}:
        # A login page or a captive portal says 200 too (contract 9.18).
        raise HubMisspoke(f"an answer {status} that does not describe a file", asked=asked)
    etag = normalise_etag(etag)
    return FileFacts(
        commit_hash=commit_hash,
        etag=etag,
        size_bytes=size,
        is_lfs=linked_etag is not None and len(etag) == _SHA256_DIGITS,
        content_type=_UNNAMED_TYPE if redirected else headers.get("Content-Type", _UNNAMED_TYPE),
        content_disposition=headers.get("Content-Disposition"),
        xet_hash=headers[XET_HASH] if _XET_HASH.fullmatch(headers.get(XET_HASH, "")) else None,
    )
