"""How the answers of a file's redirects become one answer, which every client generation takes (contract 4.2, 4.4)."""

from collections.abc import Iterable

from multidict import CIMultiDict, CIMultiDictProxy

from hfproxy.upstream.headers import LINKED_ETAG, LINKED_SIZE, REPO_COMMIT, normalise_etag, whole_number

MAX_HOPS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})

# What the Hub says of a file while it redirects; the store of bytes knows none of it, or says it wrongly: the ETag of
# the CDN is the Xet hash (contract 4.2 B).
_SAID_BY_THE_HUB = (
    REPO_COMMIT,
    LINKED_ETAG,
    LINKED_SIZE,
    "Content-Disposition",
    "Content-Security-Policy",
    "Vary",
    "Link",
    "X-Xet-Hash",
    "X-Xet-Refresh-Route",
    "X-Request-Id",
    "X-Powered-By",
    "X-HF-Warning",
    "RateLimit",
    "RateLimit-Policy",
)
_CONDITIONS = frozenset({"if-none-match", "if-match", "if-modified-since", "if-unmodified-since"})


def metadata_of(hops: Iterable[CIMultiDictProxy[str]]) -> CIMultiDict[str]:
    """What the Hub said of the file on the way, the earliest word winning: later hops may lack or repeat it."""
    said: CIMultiDict[str] = CIMultiDict()
    for headers in hops:
        for name in _SAID_BY_THE_HUB:
            if name in headers and name not in said:
                said.extend((name, value) for value in headers.getall(name))
    return said


def whole_answer(metadata: CIMultiDict[str], last: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The headers of the last answer with what the Hub said of the file in place of what a store said."""
    headers = CIMultiDict((name, value) for name, value in last.items() if name not in metadata)
    headers.extend(metadata)
    if (etag := metadata.get(LINKED_ETAG)) is not None:
        headers["ETag"] = f'"{normalise_etag(etag)}"'
    return headers


def head_without_asking(metadata: CIMultiDict[str]) -> CIMultiDict[str] | None:
    """The answer to a HEAD of a file whose bytes lie elsewhere, if the redirect says all of it; else None."""
    size, etag = whole_number(metadata.get(LINKED_SIZE)), metadata.get(LINKED_ETAG)
    if size is None or etag is None:
        return None
    headers = CIMultiDict(metadata)
    headers["ETag"] = f'"{normalise_etag(etag)}"'
    headers["Content-Length"] = str(size)
    headers["Accept-Ranges"] = "bytes"
    headers["Content-Type"] = "application/octet-stream"
    return headers


def asked_of_a_store(headers: Iterable[tuple[str, str]], metadata: CIMultiDict[str]) -> list[tuple[str, str]]:
    """The headers for the store of bytes: the Hub has judged the conditions, and etags mean another thing there."""
    sent = list(headers)
    if_range = next((value for name, value in sent if name.casefold() == "if-range"), None)
    etag = metadata.get(LINKED_ETAG) or metadata.get("ETag")
    whole = if_range is not None and (etag is None or normalise_etag(if_range) != normalise_etag(etag))
    left_out = _CONDITIONS | {"if-range"} | ({"range"} if whole else set())
    return [(name, value) for name, value in sent if name.casefold() not in left_out]
