"""Files that were answered just now and can be answered again without a wait: their headers, as they go out.

Only how an answer is written is kept here. Whether this caller may have it, whether the name still means the same file
and whether its bytes are in memory is asked anew each time, of those who say so on the long way as well. And only what
the long way has answered is known here, so that the router has decided whose a path is.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from aiohttp.http import SERVER_SOFTWARE

from hfproxy.downstream.at_once import Asking, Ready
from hfproxy.downstream.middleware import CHANGING, LOGGER, bound_fields, finished_fields
from hfproxy.facts import RequestFacts
from hfproxy.features.access.callers import Callers
from hfproxy.features.files.admission import Admission
from hfproxy.features.files.answers import CACHE_STATUS, OFFER, XetOffer, cache_status
from hfproxy.features.files.lookup import Found
from hfproxy.features.files.service import FileService
from hfproxy.metrics import Metrics
from hfproxy.repeated_lines import RepeatedLine
from hfproxy.storage.blobs import BlobKey
from hfproxy.storage.pointers import FileEntry
from hfproxy.upstream.refs import FileRef, is_commit_hash
from hfproxy.upstream.xet import XetOffers

_MOST_TARGETS = 4096
_LONGEST_TARGET = 1024
_MOST_LINES = 4096


@dataclass(slots=True, eq=False)
class _Hot:
    """One address that was answered. head: the same for GET and HEAD, without an offer of Xet. key: of the bytes, where
    they may be ready."""

    target: str
    ref: FileRef
    repo: str
    entry: FileEntry
    key: BlobKey | None
    head: bytes
    route: str


class HotFiles:
    """Answers to GET and HEAD, most recently learnt first."""

    def __init__(
        self,
        *,
        callers: Callers,
        admission: Admission,
        service: FileService,
        metrics: Metrics,
        offers: Callable[[], XetOffers | None],
        xet_mode: str,
        kept_in_front: bool,
    ) -> None:
        """offers: what everybody is offered by Xet; None where that is another question for each caller.

        kept_in_front: a front server may give answers again to the same caller, for a second.
        """
        self._kept_in_front = kept_in_front
        self._callers, self._admission, self._service, self._metrics = callers, admission, service, metrics
        self._offers, self._xet_mode = offers, xet_mode
        self._known: OrderedDict[str, _Hot] = OrderedDict()
        self._told = lru_cache(maxsize=_MOST_LINES)(self._tell)

    def learn(self, target: str, ref: FileRef, repo: str, found: Found, told: Mapping[str, str], *, route: str) -> None:
        """Keeps how a file is answered whole, with 200. target: path and query as asked. told: its headers; an offer of
        Xet among them is left out, since it names the gateway as this client knows it.

        Also of one that was new just now: who asked by HEAD asks by GET next, and the next client both.
        """
        known = self._known.get(target)
        if len(target) > _LONGEST_TARGET or (known is not None and known.entry is found.entry):
            return
        size = found.entry.size_bytes
        told = {name: value for name, value in told.items() if name not in OFFER}
        headers = {**told, CACHE_STATUS: cache_status(), "Content-Length": str(size), "Server": SERVER_SOFTWARE}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if lines.count("\r") != len(headers) or lines.count("\n") != len(headers):
            return
        key = BlobKey.from_etag(found.entry.etag) if self._service.is_small(found) else None
        head = f"HTTP/1.1 200 OK\r\n{lines}".encode()
        self._known[target] = _Hot(target, ref, repo, found.entry, key, head, route)
        if len(self._known) > _MOST_TARGETS:
            self._known.popitem(last=False)

    def ready(self, method: str, target: str, who: Asking) -> tuple[Ready, bytes] | None:
        """The answer, if nothing has to be asked for it. Raises CallerUnknown, CallerNotAllowed."""
        hot = self._known.get(target)
        if hot is None or (identified := self._callers.known(who.sent, who.origin)) is None:
            return None
        caller, credential = identified
        if not self._admission.recall(caller, hot.ref, credential, size_bytes=hot.entry.size_bytes):
            return None
        if self._service.lookup.entry_at_once(hot.ref, hot.repo, credential) is not hot.entry:
            return None
        body: bytes | None = b""
        if method == "GET" and (hot.key is None or (body := self._service.in_memory(hot.key)) is None):
            return None
        assert body is not None
        offered_at = None
        if hot.entry.xet_hash is not None:
            if (offers := self._offers()) is None:
                return None
            offered_at = who.base if offers is XetOffers.ALL else None
        return self._told(hot, method, caller.name, caller.address, offered_at), body

    def _tell(self, hot: _Hot, method: str, caller: str, address: str | None, offered_at: str | None) -> Ready:
        """What is told of such a request, the line's fields as on the long way."""
        facts = RequestFacts("", {"address": address, "repo": hot.repo, "commit_hash": hot.entry.commit_hash})
        fields = finished_fields(
            method=method, path=hot.target, route=hot.route, status=200, caller=caller, facts=facts
        )
        line = RepeatedLine(LOGGER, "request.finished", {**fields, **bound_fields(), "request_id": ""}, CHANGING)
        head = hot.head
        if offered_at is not None and hot.entry.xet_hash is not None:
            offer = XetOffer.at(offered_at, self._xet_mode)
            told = offer.headers(hot.ref.repo, hot.entry.commit_hash, hot.entry.xet_hash)
            head += "".join(f"{name}: {value}\r\n" for name, value in told.items()).encode()
        if self._kept_in_front and is_commit_hash(hot.ref.revision):
            # Not by a name, which may mean another commit as soon as somebody has written one.
            head += b"X-Accel-Expires: 1\r\n"
        return Ready(head, line, self._metrics.of_route(method, hot.route, 200))
