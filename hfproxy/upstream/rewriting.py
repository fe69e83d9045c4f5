"""What must change in the Hub's answers so that no client is led round the gateway; nothing else is touched.

By field, on the routes that are known to carry it (contract 9.6): the words of cards and comments, `avatarUrl`,
`shareUrl` and addresses inside files stay as they are. A body in which nothing changes keeps its bytes.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hfproxy.upstream.addresses import HubAddresses, is_absolute
from hfproxy.upstream.calls import SAFE_METHODS, Kind
from hfproxy.upstream.documents import print_document, read_document
from hfproxy.upstream.headers import LINKED_SIZE, XET_FILEINFO_TYPE, XET_HEADERS, told_to_the_caller, whole_number
from hfproxy.upstream.lfs import Target, rewrite_batch
from hfproxy.upstream.links import Link, parse_links, print_links
from hfproxy.upstream.routes import Route
from hfproxy.upstream.xet import XetMode, XetOffers, XetRoad

# Above this size `huggingface_hub` refuses plain HTTP (`constants.py`, MAX_HTTP_DOWNLOAD_SIZE).
MAX_HTTP_DOWNLOAD_SIZE = 50 * 1000**3
_RECONSTRUCTION = "xet-reconstruction-info"
_XET_RELATIONS = frozenset({"xet-auth", _RECONSTRUCTION})
_URL_FIELDS = {
    Kind.CREATE: ("url",),
    Kind.DUPLICATE: ("url",),
    Kind.DISCUSSIONS: ("url",),
    Kind.COMMIT: ("commitUrl", "pullRequestUrl"),
}
_WITH_XET_HASHES = frozenset({Kind.INFO, Kind.TREE, Kind.PATHS_INFO})
_FILES = frozenset({Kind.RESOLVE, Kind.RESOLVE_CACHE})
OFFERING_XET = _WITH_XET_HASHES | _FILES
XET_TOKENS = frozenset({Kind.XET_READ_TOKEN, Kind.XET_WRITE_TOKEN})

# A whole member `"xetHash": …` of an object. In valid JSON a quote that follows `{` or `,` opens a string: inside of a
# string it would be escaped. So what matches is a member, never the text of a value.
_VALUE = rb'\s*:\s*(?:"(?:[^"\\]|\\.)*"|[-+0-9.eE]+|true|false|null)'
_LATER_XET_HASH = re.compile(rb',\s*"xetHash"' + _VALUE)
# A size of as many digits as the smallest that is too large for HTTP.
_LARGE_SIZE = re.compile(rb'"size"\s*:\s*[0-9]{11}')
_FIRST_XET_HASH = re.compile(rb'(\{\s*)"xetHash"' + _VALUE + rb"\s*(?:,\s*)?")


def without_xet_hashes(body: bytes) -> bytes:
    """A tree or paths-info answer without any `xetHash`; all other bytes stay (contract 3.3)."""
    if b'"xetHash"' not in body:
        return body
    return _FIRST_XET_HASH.sub(rb"\1", _LATER_XET_HASH.sub(b"", body))


def offering(body: bytes, offers: XetOffers) -> bytes:
    """Such an answer with the hashes of these files alone."""
    if offers is XetOffers.ALL:
        return body
    if offers is XetOffers.NONE or not _LARGE_SIZE.search(body):
        return without_xet_hashes(body)
    try:
        document = read_document(body)
    except ValueError:
        return without_xet_hashes(body)
    if not isinstance(document, list):
        return without_xet_hashes(body)
    for entry in document:
        if isinstance(entry, dict) and not _is_large(entry.get("size")):
            entry.pop("xetHash", None)
    return print_document(document)


def _is_large(size: Any) -> bool:
    """Whether clients refuse to fetch a file of this size over HTTP."""
    return isinstance(size, int) and size > MAX_HTTP_DOWNLOAD_SIZE


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Changes answers for one client, who knows the gateway as `base`.

    base: scheme, host, port and prefix exactly as the client used them, without a slash at the end.
    prefix: the path in `base`. upstream_prefix: the path in the Hub's endpoint. ticket: makes an address of ours out of
    a place where bytes lie (`features/passthrough/tickets.py`). xet: where Xet leads. offers: which offers are left in.
    """

    base: str
    prefix: str
    upstream_prefix: str
    addresses: HubAddresses
    ticket: Callable[[Target], str]
    xet: XetRoad
    offers: XetOffers = XetOffers.NONE

    def headers(self, route: Route, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The headers for the caller."""
        told = told_to_the_caller(headers)
        strip_xet = self._strips_xet(route, told)
        changed: list[tuple[str, str]] = []
        for name, value in told:
            lower = name.casefold()
            if strip_xet and lower in XET_HEADERS:
                continue
            if lower == "link":
                value = self.link(value, strip_xet=strip_xet)
                if not value:
                    continue
            elif lower == "location":
                value = self.location(value)
            elif lower == "x-xet-refresh-route":
                value = self.addresses.under(self.base, value)
            changed.append((name, value))
        return self.xet.headers(changed)

    def location(self, value: str) -> str:
        """Where a redirect leads: an address of the Hub becomes ours, any other stays."""
        if is_absolute(value) or not value.startswith("/"):
            return self.addresses.under(self.base, value)
        if self.upstream_prefix and (value + "/").startswith(self.upstream_prefix + "/"):
            value = value[len(self.upstream_prefix) :] or "/"
        return self.prefix + value

    def link(self, value: str, *, strip_xet: bool = False) -> str:
        """A `Link` header with the Hub's addresses made ours; empty if nothing is left of it."""
        if (links := parse_links(value)) is None:
            return value
        kept = [link for link in links if not (strip_xet and link.relations & _XET_RELATIONS)]
        moved = [type(link)(self._moved(link), link.parameters) for link in kept]
        return value if moved == links else print_links(moved)

    def _moved(self, link: Link) -> str:
        if _RECONSTRUCTION in link.relations:
            return self.xet.reconstruction(link.address)
        return self.addresses.under(self.base, link.address)

    def body(self, route: Route, body: bytes, *, fileinfo: bool = False) -> bytes:
        """The body for the caller; the very same bytes where nothing has to change."""
        if route.kind in _WITH_XET_HASHES and route.bucket is None:
            return offering(body, self.offers)
        try:
            document = read_document(body)
        except ValueError:
            return body
        if route.kind is Kind.LFS_BATCH:
            changed = rewrite_batch(
                document, base=self.base, addresses=self.addresses, ticket=self.ticket, xet=self.xet
            )
        elif route.kind in XET_TOKENS:
            changed = self.xet.token(document)
        elif fileinfo:
            changed = self._move_fields(document, ("refreshUrl",)) | self._move_reconstruction(document)
        else:
            changed = self._move_fields(document, _URL_FIELDS.get(route.kind, ()))
        return print_document(document) if changed else body

    def _move_fields(self, document: Any, names: Iterable[str]) -> bool:
        changed = False
        if isinstance(document, dict):
            for name in names:
                if isinstance(value := document.get(name), str):
                    document[name] = self.addresses.under(self.base, value)
                    changed = changed or document[name] != value
        return changed

    def _move_reconstruction(self, document: Any) -> bool:
        if not isinstance(document, dict) or not isinstance(value := document.get("reconstructionUrl"), str):
            return False
        moved = document["reconstructionUrl"] = self.xet.reconstruction(value)
        return moved != value

    def _strips_xet(self, route: Route, headers: Iterable[tuple[str, str]]) -> bool:
        """Whether the offer to fetch by Xet is taken out: on files of repositories that clients fetch by HTTP.

        Buckets exist by Xet alone (contract 5.1), and huge files are refused over HTTP by the clients themselves.
        """
        if self.offers is XetOffers.ALL or route.kind not in _FILES or route.bucket is not None:
            return False
        size = next((value for name, value in headers if name.casefold() == LINKED_SIZE.casefold()), None)
        return self.offers is XetOffers.NONE or not _is_large(whole_number(size))


def changes_body(method: str, route: Route, mode: XetMode, offers: XetOffers) -> bool:
    """Whether the answer's body is read and may be changed on its way."""
    if method == "HEAD":
        return False
    if route.kind in _WITH_XET_HASHES:
        return route.bucket is None and offers is not XetOffers.ALL
    if route.kind in XET_TOKENS:
        return mode is not XetMode.DIRECT
    return route.kind is Kind.LFS_BATCH or (route.kind in _URL_FIELDS and method not in SAFE_METHODS)


def is_fileinfo(content_type: str) -> bool:
    """Whether an answer is the Xet form of a file's metadata (contract 4.2 E)."""
    return content_type.partition(";")[0].strip().lower() == XET_FILEINFO_TYPE


def without_fileinfo(accept: str) -> str:
    """An `Accept` header that does not ask for the Xet form of a file's metadata."""
    kept = [part for part in accept.split(",") if not is_fileinfo(part)]
    return ",".join(kept).strip() or "*/*"
