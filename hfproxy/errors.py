"""Everything that can go wrong, as one tree.

    ProxyError                      every error that a caller may see
    ├── RequestRefused              the caller's doing, told before anything was asked upstream
    │   ├── BadFields               422  fields that are wrong, each named
    │   ├── BadRequest              400  a request that cannot be read at all
    │   ├── NotFound                404  nothing of ours is at that path
    │   ├── MethodNotAllowed        405  the path exists, the method does not
    │   ├── PreconditionFailed      412  the file is another one than the caller wants
    │   ├── RangeNotSatisfiable     416  the file ends before the bytes that were asked for
    │   ├── BodyTooLarge            413
    │   ├── CodingNotTaken          415  a compressed body where none is taken
    │   ├── ExpectationFailed       417  an `Expect` header that nobody knows
    │   ├── HeadTooLarge            431  a line of the head is too long, or there are too many
    │   ├── CallerUnknown           401  no key, or one that we do not accept
    │   ├── CallerNotAllowed        403  a known caller without the right to do this
    │   ├── PolicyDenied            403  a rule of this gateway's policy says no
    │   ├── CrossSiteRefused        403  a browser was sent here by somebody else's page
    │   ├── TooManyAttempts         429  too many wrong keys from one address
    │   ├── TooManyRequests         429  more than a limit of the policy lets this caller have
    │   └── BodyStalled             408  the body stopped arriving
    ├── Overloaded                  503  we have too much to do; try again
    ├── StorageUnavailable          503  the gateway's own database cannot be used
    ├── NotReady                    503  a part of the gateway that it needs does not work
    ├── Unexpected                  500  a fault of ours; the log has the story
    └── UpstreamError               what the Hub or the way to it did
        ├── HubRefused              the Hub's own 4xx, with its status, words and headers
        │   ├── HubTokenRejected    401  the Hub does not accept the token this gateway is configured with
        │   ├── HubTokenMissing     401  the gateway has no token, and the Hub wants one
        │   └── CallerTokenRejected 401  the Hub does not accept the token that the caller sent
        ├── HubUnreachable          502  name, connection, TLS
        ├── HubUntrusted            502  its certificate
        ├── HubBroke                502  an answer that ended early, or a connection reset
        ├── HubMisspoke             502  an answer that is not what the Hub's protocol says
        ├── HubSentWrongBytes       502  a file that is not what its hash says
        ├── PlaceExpired            403  an address for bytes that has run out: ask for another
        ├── NotKept                 504  the gateway is offline, and does not have it
        ├── HubFailed               the Hub's own 5xx: 503 and 504 as themselves, all others as 502
        └── HubSlow                 504  no answer in time

`upstream/faults.py` makes the upstream ones, `downstream/problems.py` turns all of them into answers; between the two
nobody catches to re-map. A class is its four attributes and a sentence; an instance adds facts.
"""

from collections.abc import Mapping
from typing import ClassVar


class ProxyError(Exception):
    """An error with an answer: RFC 9457 members `title`, `status` and `code`, and facts of this one case.

    `hub_code` is sent as `X-Error-Code`, by which `huggingface_hub` picks its exception (`utils/_http.py`,
    `hf_raise_for_status`); None sends our own `code`, which that client ignores.
    """

    status: int = 500
    code: ClassVar[str] = "Unexpected"
    title: ClassVar[str] = "Unexpected error"
    hub_code: str | None = None

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **facts: object) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.headers = dict(headers or {})
        self.facts = facts


class RequestRefused(ProxyError):
    """The request cannot be done as it was sent."""

    status = 400
    code = "RequestRefused"
    title = "Request refused"


class BadFields(RequestRefused):
    """Fields are missing, unknown or of the wrong type; `errors` names each."""

    status = 422
    code = "BadFields"
    title = "Some fields are wrong"


class BadRequest(RequestRefused):
    """The request cannot be read: not JSON, not UTF-8, a broken body."""

    code = "BadRequest"
    title = "Request cannot be read"


class NotFound(RequestRefused):
    """Nothing of ours is at that path."""

    status = 404
    code = "NotFound"
    title = "Nothing is here"


class MethodNotAllowed(RequestRefused):
    """The path takes other methods; `Allow` lists them."""

    status = 405
    code = "MethodNotAllowed"
    title = "Method not allowed here"


class PreconditionFailed(RequestRefused):
    """The file is not the one that `If-Match` names."""

    status = 412
    code = "PreconditionFailed"
    title = "It is another file now"


class RangeNotSatisfiable(RequestRefused):
    """The file ends before the bytes that were asked for (RFC 9110 section 15.5.17)."""

    status = 416
    code = "RangeNotSatisfiable"
    title = "No such bytes"

    def __init__(self, *, size_bytes: int) -> None:
        super().__init__(f"the file has {size_bytes} bytes", headers={"Content-Range": f"bytes */{size_bytes}"})


class BodyTooLarge(RequestRefused):
    """The body is larger than this call takes."""

    status = 413
    code = "BodyTooLarge"
    title = "Body is too large"


class CodingNotTaken(RequestRefused):
    """This call takes its body as it is, not compressed."""

    status = 415
    code = "CodingNotTaken"
    title = "Body must not be compressed"

    def __init__(self, detail: str | None = None, **facts: object) -> None:
        super().__init__(detail, headers={"Accept-Encoding": "identity"}, **facts)


class ExpectationFailed(RequestRefused):
    """The `Expect` header wants something other than to be told that the body may come."""

    status = 417
    code = "ExpectationFailed"
    title = "Nobody here does what is expected"


class HeadTooLarge(RequestRefused):
    """The address or a header is too long, or there are too many headers."""

    status = 431
    code = "HeadTooLarge"
    title = "Address or headers are too large"


class CallerUnknown(RequestRefused):
    """The gateway asks for a key and got none, or one it does not accept."""

    status = 401
    code = "CallerUnknown"
    title = "Gateway key needed"

    def __init__(self, detail: str | None = None, **facts: object) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="hfproxy", Basic realm="hfproxy"'}, **facts)


class CallerNotAllowed(RequestRefused):
    """The caller is known and may not do this."""

    status = 403
    code = "CallerNotAllowed"
    title = "Not allowed for this caller"


class PolicyDenied(RequestRefused):
    """A rule says no; `rule` names it. Nothing was sent to the Hub."""

    status = 403
    code = "PolicyDenied"
    title = "Not allowed by this gateway's policy"

    def __init__(self, detail: str, *, rule: str, reading: bool) -> None:
        super().__init__(detail, rule=rule)
        if reading:
            # `huggingface_hub` shows a refused download as a lost connection, but for missing and gated repositories
            # (`file_download.py`, `_raise_on_head_call_error`).
            self.hub_code = "GatedRepo"


class CrossSiteRefused(RequestRefused):
    """A browser sent this on behalf of another site."""

    status = 403
    code = "CrossSiteRefused"
    title = "Cross-site request refused"


class TooManyAttempts(RequestRefused):
    """Too many wrong keys came from this address; `Retry-After` says when to try again."""

    status = 429
    code = "TooManyAttempts"
    title = "Too many failed attempts"


class TooManyRequests(RequestRefused):
    """The caller has used up what a limit lets them have; `Retry-After` and `RateLimit` say when there is more."""

    status = 429
    code = "TooManyRequests"
    title = "Too many requests"


class BodyStalled(RequestRefused):
    """The caller's body stopped arriving before it was whole."""

    status = 408
    code = "BodyStalled"
    title = "The request's body stopped arriving"


class Overloaded(ProxyError):
    """The gateway has more to do than it can; `Retry-After` says when to try again."""

    status = 503
    code = "Overloaded"
    title = "Gateway is overloaded"

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 1, **facts: object) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)}, **facts)


class StorageUnavailable(ProxyError):
    """The gateway's own database cannot be read or written now; nothing was asked of the Hub after that."""

    status = 503
    code = "StorageUnavailable"
    title = "The gateway's storage cannot be used"

    def __init__(self, detail: str | None = None, **facts: object) -> None:
        super().__init__(detail, headers={"Retry-After": "5"}, **facts)


class NotReady(ProxyError):
    """Something of the gateway's own that it needs does not work; `checks` says what."""

    status = 503
    code = "NotReady"
    title = "Gateway is not ready"


class Unexpected(ProxyError):
    """A fault in hfproxy itself; the log has it under the request's id."""

    code = "Unexpected"
    title = "Unexpected error in the gateway"


class UpstreamError(ProxyError):
    """The Hub, or the way to it, did something that keeps us from answering."""

    status = 502
    code = "UpstreamError"
    title = "The Hub could not be asked"


class HubRefused(UpstreamError):
    """The Hub said no with a 4xx: its status, its words, its code and its headers are passed on."""

    code = "HubRefused"
    title = "The Hub refused"

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        hub_code: str | None = None,
        headers: Mapping[str, str] | None = None,
        **facts: object,
    ) -> None:
        super().__init__(detail, headers=headers, **facts)
        self.status = status
        self.hub_code = hub_code


class HubTokenRejected(HubRefused):
    """The Hub does not accept the token the gateway is configured with: the operator's to mend, not the caller's."""

    code = "HubTokenRejected"
    title = "The Hub rejects the gateway's token"


class HubTokenMissing(HubRefused):
    """The gateway is configured without a Hub token, and the Hub wants one for this."""

    code = "HubTokenMissing"
    title = "The gateway has no Hub token"


class CallerTokenRejected(HubRefused):
    """The Hub does not accept the token that the caller sent to act as themselves."""

    code = "CallerTokenRejected"
    title = "The Hub rejects the caller's token"


class HubUnreachable(UpstreamError):
    """The Hub's name does not resolve, nothing accepts the connection, or it does not speak TLS as we do."""

    code = "HubUnreachable"
    title = "The Hub cannot be reached"


class HubUntrusted(UpstreamError):
    """The Hub's certificate is not one we trust."""

    code = "HubUntrusted"
    title = "The Hub's certificate is not trusted"


class HubBroke(UpstreamError):
    """The connection ended before the answer was whole. A write may have happened."""

    code = "HubBroke"
    title = "The Hub's answer broke off"


class HubMisspoke(UpstreamError):
    """The answer is not what the Hub's protocol says: a login page, a captive portal, another server."""

    code = "HubMisspoke"
    title = "The Hub's answer makes no sense"


class HubSentWrongBytes(UpstreamError):
    """What the Hub sent as a file does not have the hash that names it; it was not kept."""

    code = "HubSentWrongBytes"
    title = "The Hub sent wrong bytes"


class PlaceExpired(UpstreamError):
    """An address for bytes is not good any more; 403 makes clients of Xet ask for another (contract 5.3)."""

    status = 403
    code = "PlaceExpired"
    title = "The address has run out"


class NotKept(UpstreamError):
    """The gateway is offline by its settings and was not asked for this while it was not."""

    status = 504
    code = "NotKept"
    title = "Not kept, and the gateway is offline"


class HubFailed(UpstreamError):
    """The Hub answered with a 5xx of its own; `hub_status` tells which. A write may have happened."""

    code = "HubFailed"
    title = "The Hub failed"

    def __init__(
        self, detail: str, *, hub_status: int, headers: Mapping[str, str] | None = None, **facts: object
    ) -> None:
        super().__init__(detail, headers=headers, hub_status=hub_status, **facts)
        self.status = hub_status if hub_status in {503, 504} else 502


class HubSlow(UpstreamError):
    """The Hub did not answer in time. A write may have happened."""

    status = 504
    code = "HubSlow"
    title = "The Hub did not answer in time"
