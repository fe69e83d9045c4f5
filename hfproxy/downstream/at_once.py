"""Answers that nothing has to be waited for, given as soon as a request's head is read, in front of the middlewares.

A request for a small kept file has its answer in memory. On the long way it costs a task, aiohttp's request and
response, eight middlewares and a log line of a dozen steps: several times what answering costs. Here the same is done
by the same functions without those. What this module does not know takes the long way: an unknown header, a body, a
client that does not read, a gateway that is full. `tests/integration/files/test_both_ways.py` asks everything on both
ways and compares what comes of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, Protocol

from aiohttp import HttpVersion11, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDictProxy

from hfproxy.downstream.base_url import base_of, without_prefix
from hfproxy.downstream.credentials import SentSecret, sent_secret
from hfproxy.downstream.forwarded import Origin, TrustedProxies
from hfproxy.downstream.middleware import GATEWAY_REQUEST_ID, Places, id_of, rounded
from hfproxy.downstream.unfit import can_be_a_host
from hfproxy.errors import ProxyError
from hfproxy.metrics import RouteMetrics
from hfproxy.repeated_lines import RepeatedLine
from hfproxy.upstream.headers import DOWNLOAD_COUNTER, REQUEST_ID, TRACE_ID, XET_FILEINFO_TYPE

# These change nothing of an answer, or are read here as they are on the long way.
_KNOWN_HEADERS: Final = frozenset(
    spelt.encode()
    for name in (
        *("Host", "Connection", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "DNT"),
        *("Authorization", "X-API-Key", REQUEST_ID, TRACE_ID, DOWNLOAD_COUNTER, "Traceparent", "Tracestate"),
        *("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix"),
        *("X-Forwarded-Port", "X-Real-IP", "Via"),
    )
    for spelt in (name, name.lower())
)
_METHODS: Final = frozenset({"GET", "HEAD"})
# These differ from one request of a client to its next, and change nothing but the id.
_IDS: Final = frozenset(spelt.encode() for name in (REQUEST_ID, TRACE_ID) for spelt in (name, name.lower()))
# More than this in the socket's buffer is for the long way, which waits until a client reads.
_JOINED_BYTES = 32 * 1024


@dataclass(slots=True)
class Ready:
    """An answer without its body. head: its status line and headers, each with its line end, but for date and ids."""

    head: bytes
    line: RepeatedLine
    """`request.finished`; the duration, the bytes sent and the id are its changing fields."""
    metrics: RouteMetrics


class Answers(Protocol):
    """Who may have an answer ready."""

    def ready(self, method: str, target: str, who: "Asking") -> tuple[Ready, bytes] | None:
        """The answer and its body, if nothing has to be asked for it. Raises ProxyError where the long way would."""


@dataclass(slots=True)
class _Head:
    """What `TrustedProxies` reads."""

    headers: CIMultiDictProxy[str]
    remote: str | None
    secure: bool


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks. base: the gateway as they know it, as `base_url` tells it on the long way."""

    sent: SentSecret | None
    origin: Origin
    base: str


@dataclass(slots=True)
class Client:
    """A connection's other end. said: its last headers that were looked at, and what they say of who asks.

    who, below: who asks, at the root and below the configured prefix.

    The next request of a client mostly says the same but for its id, and comparing costs a third of reading.
    """

    remote: str | None
    secure: bool
    said: Sequence[tuple[bytes, bytes]] | None = field(default=None, repr=False)
    who: Asking | None = None
    below: Asking | None = None

    def says_the_same(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether these are the last ones, ids aside."""
        if self.said is None or len(headers) != len(self.said):
            return False
        for now, before in zip(headers, self.said, strict=True):
            if now != before and (now[0] != before[0] or now[0] not in _IDS):
                return False
        return True


class QuickLane:
    """Answers what is ready. answers: who has them; set once the application has started."""

    def __init__(self, *, proxies: TrustedProxies, places: Places, prefix: str | None) -> None:
        self._proxies, self._places, self._prefix = proxies, places, prefix
        self.answers: Sequence[Answers] = ()

    def answer(self, message: RawRequestMessage, client: Client) -> "Answered | None":
        """What to write, if the answer is ready."""
        begun = perf_counter()
        target: str = message.path
        if (
            message.method not in _METHODS
            or message.version != HttpVersion11
            or message.should_close
            or message.upgrade
            or message.chunked
            or not target.startswith("/")
            or self._places.full
        ):
            return None
        try:
            if not client.says_the_same(message.raw_headers) and not self._read(message, client):
                return None
            who = client.who
            if self._prefix is not None and (cut := without_prefix(target, self._prefix)) is not None:
                target, who = cut, client.below
            assert who is not None
            for answers in self.answers:
                if (found := answers.ready(message.method, target, who)) is not None:
                    return Answered(*found, id_of(message.headers), begun)
        except ProxyError:
            return None  # said on the long way, where there are answers for it
        return None

    def _read(self, message: RawRequestMessage, client: Client) -> bool:
        """Learns who asks; False where a header is not known, or one that is says something odd."""
        client.said = None
        for name, _ in message.raw_headers:
            if name not in _KNOWN_HEADERS and name.lower() not in _KNOWN_HEADERS:
                return False
        headers = message.headers
        if not can_be_a_host(headers.get("Host", "")) or any(map(_is_another_form, headers.getall("Accept", ()))):
            return False
        origin = self._proxies.origin_of(_Head(headers, client.remote, client.secure))
        sent = sent_secret(headers)
        client.who = Asking(sent, origin, base_of(origin))
        if self._prefix is not None:
            client.below = Asking(sent, origin, base_of(origin, self._prefix))
        client.said = message.raw_headers
        return True


def _is_another_form(accept: str) -> bool:
    """Whether it may ask for something else than the file."""
    return XET_FILEINFO_TYPE in accept.lower()


@dataclass(slots=True)
class Answered:
    """An answer on its way, to be told of once it is written."""

    ready: Ready
    body: bytes
    request_id: str
    begun: float

    def pieces(self) -> Sequence[bytes]:
        """What is written."""
        request_id = self.request_id
        ids = f"{GATEWAY_REQUEST_ID}: {request_id}\r\n{REQUEST_ID}: {request_id}\r\n"
        head = self.ready.head + f"{ids}Date: {rfc822_formatted_time()}\r\n\r\n".encode()
        return (head + self.body,) if len(self.body) <= _JOINED_BYTES else (head, self.body)

    def tell(self, bytes_sent: int) -> None:
        """Counts it and writes its line."""
        duration_s = perf_counter() - self.begun
        self.ready.metrics.finished(duration_s, bytes_sent)
        self.ready.line.write(rounded(duration_s), bytes_sent, self.request_id)


QUICK_LANE: Final = web.AppKey("quick_lane", QuickLane)
