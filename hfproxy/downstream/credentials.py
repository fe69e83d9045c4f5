"""What a caller sent to say who they are."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from hfproxy.errors import CallerUnknown

API_KEY = "X-API-Key"


@dataclass(frozen=True, slots=True)
class SentSecret:
    """A key or a token as it was sent; it never shows in a repr.

    ambient: a browser may have added it by itself (Basic), so that it does not prove that somebody meant to send it.
    """

    secret: str = field(repr=False)
    ambient: bool


def sent_secret(headers: Mapping[str, str]) -> SentSecret | None:
    """The one secret in the headers; None where there is none. Raises CallerUnknown for what cannot be read.

    `Authorization: Bearer`, as the Hub's clients send it; Basic, as git sends it: the password, whatever the user name,
    or the user name of a URL such as `https://hfp_…@host/`; `X-API-Key`.
    """
    if "Authorization" not in headers and API_KEY not in headers:
        return None
    found = [
        secret
        for secret in (_authorization(headers.get("Authorization")), _api_key(headers.get(API_KEY)))
        if secret is not None
    ]
    if not all(each.secret.isascii() and each.secret.isprintable() for each in found):
        # Basic can hold anything, line ends too; a caller's token becomes a header of ours.
        raise CallerUnknown("no key or token has characters beyond printable ASCII")
    if len({each.secret for each in found}) > 1:
        raise CallerUnknown(f"Authorization and {API_KEY} say different things: send one of them")
    return found[0] if found else None


def _authorization(value: str | None) -> SentSecret | None:
    if value is None:
        return None
    scheme, _, rest = value.strip().partition(" ")
    match scheme.lower():
        case "bearer" if rest.strip():
            return SentSecret(rest.strip(), ambient=False)
        case "basic":
            return SentSecret(_password(rest.strip()), ambient=True)
    raise CallerUnknown("the Authorization header must be 'Bearer KEY', or Basic with the key as the password")


def _password(encoded: str) -> str:
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        raise CallerUnknown("the Basic credentials are not Base64 of 'name:password'") from None
    if not (password or user):
        raise CallerUnknown("the Basic credentials are empty")
    return password or user


def _api_key(value: str | None) -> SentSecret | None:
    return SentSecret(value.strip(), ambient=False) if value is not None and value.strip() else None
