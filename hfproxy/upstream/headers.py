"""Headers of the Hub's protocol and of HTTP's own, as names and small pure functions."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

REPO_COMMIT = "X-Repo-Commit"
LINKED_ETAG = "X-Linked-ETag"
LINKED_SIZE = "X-Linked-Size"
ERROR_CODE = "X-Error-Code"
ERROR_MESSAGE = "X-Error-Message"
REQUEST_ID = "X-Request-Id"
XET_HASH = "X-Xet-Hash"
TRACE_ID = "X-Amzn-Trace-Id"
RATE_LIMIT = "RateLimit"
RATE_LIMIT_POLICY = "RateLimit-Policy"
DOWNLOAD_COUNTER = "X-HF-Download-Counter"

# RFC 9110 section 7.6.1, and Proxy-Connection, which old clients still send.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# What the Hub says about an error and its limits, which a caller needs as it was said.
TOLD_ON_ERRORS = (
    ERROR_CODE,
    ERROR_MESSAGE,
    REPO_COMMIT,
    REQUEST_ID,
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    "Retry-After",
)


# More digits than any size or time has are nonsense, and cost Python more than they are worth.
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def whole_number(text: str | None) -> int | None:
    """A size or a number of seconds; None for what is none."""
    return int(text) if text is not None and _WHOLE_NUMBER.fullmatch(text) else None


def normalise_etag(etag: str) -> str:
    """An etag as `huggingface_hub` keeps it (`file_download.py` `_normalize_etag`): no `W/`, no quotes."""
    return etag.strip().removeprefix("W/").strip('"')


def end_to_end(headers: Iterable[tuple[str, str]], *, connection: Iterable[str] = ()) -> list[tuple[str, str]]:
    """The headers that belong to the message and not to one connection, in their order, doubles kept."""
    named = {name.strip().casefold() for value in connection for name in value.split(",")}
    return [(name, value) for name, value in headers if name.casefold() not in HOP_BY_HOP | named]


def told_on_errors(headers: Mapping[str, str]) -> dict[str, str]:
    """What of an upstream error's headers reaches the caller unchanged."""
    return {name: headers[name] for name in TOLD_ON_ERRORS if name in headers}


XET_HEADERS = frozenset(
    {"x-xet-hash", "x-xet-refresh-route", "x-xet-cas-url", "x-xet-access-token", "x-xet-token-expiration"}
)
XET_FILEINFO_TYPE = "application/vnd.xet-fileinfo+json"

# What a caller says to the gateway and not to the Hub: credentials, the road here, what each connection says anew.
# The gateway's own cookies must not reach the Hub, nor the Hub's a browser that keeps them for the gateway.
_SAID_TO_THE_GATEWAY = frozenset(
    {"host", "authorization", "cookie", "expect", "x-api-key", "forwarded", "x-real-ip", "x-original-url"}
)
_SAID_TO_THE_GATEWAY_PREFIXES = ("x-forwarded-", "x-hfproxy-")
# What the Hub says of its own origin: a browser would hold the gateway's to it. Which pages may read the gateway's
# answers is the gateway's to say, since the Hub allows every origin (contract 1.4).
_SAID_OF_THE_HUBS_ORIGIN = frozenset(
    {
        "set-cookie",
        "set-cookie2",
        "strict-transport-security",
        "public-key-pins",
        "expect-ct",
        "alt-svc",
        "nel",
        "report-to",
        "reporting-endpoints",
        "clear-site-data",
        "timing-allow-origin",
    }
)


def asked_of_the_hub(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What of a caller's headers goes on to the Hub, in its order; the token is the client's to add (`client.py`)."""
    sent = list(headers)
    connection = [value for name, value in sent if name.casefold() == "connection"]
    return [
        (name, value)
        for name, value in end_to_end(sent, connection=connection)
        if name.casefold() not in _SAID_TO_THE_GATEWAY and not name.casefold().startswith(_SAID_TO_THE_GATEWAY_PREFIXES)
    ]


def told_to_the_caller(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What of an answer's headers goes on to the caller, in its order."""
    said = list(headers)
    connection = [value for name, value in said if name.casefold() == "connection"]
    return [
        (name, value)
        for name, value in end_to_end(said, connection=connection)
        if name.casefold() not in _SAID_OF_THE_HUBS_ORIGIN and not name.casefold().startswith("access-control-")
    ]
