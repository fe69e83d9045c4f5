"""Text without secrets: what every log line and every error's words pass through.

Pure and pessimistic: a word too many is hidden rather than a token shown. What is recognised: Hub tokens and gateway
keys by their beginnings, the values of credential headers, passwords in addresses, and the query parameters that make
a signed URL one (Amazon's, Google's, Azure's, CloudFront's and the Hub's own).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

HIDDEN: Final = "[redacted]"

# `hf_xet`, `hf_transfer` and `hf_hub_download` are packages and functions that messages of the Hub's clients name.
_KNOWN_BEGINNING = (
    r"(?:hf_(?!(?:xet|transfer|hub_[a-z_]+)(?![A-Za-z0-9_]))|hfp_|hfx_|api_org_)[A-Za-z0-9._~+/=-]*[A-Za-z0-9]"
)
_QUERY_PARAMETER = (
    r"(?<=[?&;])(?i:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|awsaccesskeyid"
    r"|signature|key-pair-id|policy|sig|(?:access_|id_|refresh_)?token|api_?key|key|password|secret|code"
    r"|x-xet-signed-range|uploadid)=[^&;\s\"'<>]+"
)
# Up to the end of the line or of the quoted value: Basic values and cookies may hold spaces, quotes they do not hold.
_CREDENTIAL_HEADER = (
    r"(?i:(?:proxy-)?authorization|x-api-key|(?:set-)?cookie|x-xet-access-token|x-hub-signature(?:-256)?"
    r"|x-webhook-secret)(?:['\"]?\s*[:=,]\s*)(?:b?['\"][^'\"]*['\"]|[^'\"\r\n]+)"
)
# A scheme in prose («send it as a bearer token») is followed by a word; a value is longer, or no plain word.
_SCHEME = (
    r"(?i:\b(?:bearer|basic)\s+)(?=[A-Za-z0-9+/=._~-]{16}|[A-Za-z0-9+/=._~-]*[0-9+/=_~]|[A-Za-z][a-z]*[A-Z])(?!realm=)"
    r"[A-Za-z0-9+/=._~-]{4,}"
)
_USERINFO = r"(?<=://)[^\s/@'\"<>]*(?:@[^\s/@'\"<>]*)*(?=@)"
# Whoever holds the address of a ticket may use it (`features/passthrough/tickets.py`).
_TICKET = r"(?:(?<=/-/lfs/)|(?<=/-/xet/xorbs/))[A-Za-z0-9_=-]+"
_JWT = r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"

_NAMED = re.compile(
    f"(?P<header>{_CREDENTIAL_HEADER})|(?P<query>{_QUERY_PARAMETER})|(?P<scheme>{_SCHEME})|{_KNOWN_BEGINNING}|{_USERINFO}|{_TICKET}"
    f"|{_JWT}"
)
_SECRET_KEY = re.compile(
    r"(?i)(?:.*[_-])?(?:authorization|token|password|passwd|secret|secrets|api[_-]?key|cookie|credential|credentials)"
)


# Each of these has one of those in it, whatever its case. Looking for them costs a tenth of the search itself, and most
# of what a log says has none.
_SIGNS = (
    *(
        "hf_",
        "hfp_",
        "hfx_",
        "api_org_",
        "=",
        "://",
        "/-/lfs/",
        "/-/xet/",
        "eyj",
        "bearer",
        "basic",
        "authorization",
        "api-key",
        "cookie",
    ),
    *("access-token", "hub-signature", "webhook-secret"),
)


def redact(text: str, *, also: Sequence[str] = ()) -> str:
    """`text` without secrets. also: values that are secret whatever they look like."""
    for secret in also:
        text = text.replace(secret, HIDDEN)
    folded = text.casefold()
    return _NAMED.sub(_hide, text) if any(sign in folded for sign in _SIGNS) else text


def redact_value(value: Any, *, also: Sequence[str] = ()) -> Any:
    """The same for a value of a log line, whatever it holds: what is no plain JSON becomes its redacted repr."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value, also=also)
    if isinstance(value, Mapping):
        return {
            redact(str(key), also=also): HIDDEN
            if member and _SECRET_KEY.fullmatch(str(key))
            else redact_value(member, also=also)
            for key, member in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(member, also=also) for member in value]
    return redact(repr(value), also=also)


def _hide(match: re.Match[str]) -> str:
    text = match[0]
    if match.lastgroup in {"header", "query"}:
        name = re.match(r"[A-Za-z0-9_-]+", text)
        separator = "=" if match.lastgroup == "query" else ": "
        return f"{name[0] if name else ''}{separator}{HIDDEN}"
    if match.lastgroup == "scheme":
        return f"{text.split(maxsplit=1)[0]} {HIDDEN}"
    return HIDDEN
