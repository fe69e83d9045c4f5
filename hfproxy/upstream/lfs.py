"""LFS batch questions and answers: what leads a client round the gateway in them, and what takes its place.

Contract 6.4 and 5.5, and the LFS batch API (git-lfs, docs/api/batch.md). Three kinds of addresses stand in an answer:
`href` of each action, part addresses under numbers inside the upload's `header`, and for Xet a token route.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hfproxy.upstream.addresses import HubAddresses
from hfproxy.upstream.documents import print_document, read_document
from hfproxy.upstream.xet import XetRoad

XET_TRANSFER = "xet"
_OID = re.compile(r"[0-9a-f]{64}")
_GATEWAYS_OWN = "/-/"


@dataclass(frozen=True, slots=True)
class Target:
    """Where the Hub sent a client, which may be any store of bytes: `methods` are what the client does there.

    authorization: the header the Hub gave for that place, if any. oid, size_bytes: the object it is about. key_id: the
    gateway key it was asked for with, if any. repo: of which repository, as it prints. holder: kind, name, id and role
    of the caller who was sent there. life_s: how long the Hub lets the client go there, if it says.
    """

    address: str
    methods: tuple[str, ...]
    authorization: str | None = None
    oid: str | None = None
    size_bytes: int | None = None
    key_id: str | None = None
    repo: str | None = None
    holder: tuple[str, ...] | None = None
    life_s: int | None = None

    @property
    def gives_object(self) -> bool:
        """Whether this is the right to read one object, whoever has its bytes."""
        return "GET" in self.methods and self.oid is not None and self.size_bytes is not None


def pointer(oid: str, size_bytes: int) -> bytes:
    """The text that git keeps in place of a large file, in its one valid form (git-lfs `docs/spec.md`)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size_bytes}\n".encode()


def without_xet(question: bytes) -> bytes:
    """The batch question without the offer to use Xet, so that the Hub answers with plain transfers."""
    try:
        document = read_document(question)
        transfers = document["transfers"]
        if XET_TRANSFER not in transfers:
            return question
        document["transfers"] = [transfer for transfer in transfers if transfer != XET_TRANSFER]
    except (ValueError, KeyError, TypeError):
        return question
    return print_document(document)


def rewrite_batch(
    document: Any, *, base: str, addresses: HubAddresses, ticket: Callable[[Target], str], xet: XetRoad
) -> bool:
    """Changes a batch answer in place so that every address is under `base`; tells whether anything was changed.

    Calls that need the caller's own credentials keep their path under `base`. All others carry their right to happen in
    their address, so they become what `ticket` makes of their target.
    """
    changed = False
    if not isinstance(document, dict):
        return False
    for each in _dicts(document.get("objects")):
        actions = each.get("actions")
        if not isinstance(actions, dict):
            continue
        for name, action in actions.items():
            if isinstance(action, dict) and isinstance(action.get("href"), str):
                by_xet = xet if document.get("transfer") == XET_TRANSFER else None
                _rewrite_action(name, action, each, base, addresses, ticket, xet=by_xet)
                changed = True
    return changed


def _rewrite_action(
    name: str,
    action: dict[str, Any],
    lfs_object: dict[str, Any],
    base: str,
    addresses: HubAddresses,
    ticket: Callable[[Target], str],
    *,
    xet: XetRoad | None,
) -> None:
    header = action.get("header")
    header = header if isinstance(header, dict) else {}
    if xet is not None:
        xet.token_within(header)
    path = addresses.path_of(action["href"])
    authorization = _take(header, "authorization")
    oid, size = lfs_object.get("oid"), lfs_object.get("size")

    about: dict[str, Any] = {
        "oid": oid if isinstance(oid, str) and _OID.fullmatch(oid) else None,
        "size_bytes": size if type(size) is int and size >= 0 else None,
    }

    # Where the Hub is a gateway too, a ticket of its own is no path that we could answer.
    is_ticket = path is not None and path.startswith(_GATEWAYS_OWN)
    if path is not None and not is_ticket and authorization is None and (name != "upload" or xet is not None):
        action["href"] = base + path
        # git-lfs sends its credentials only where an object does not call itself authenticated (`tq/verify.go`).
        lfs_object.pop("authenticated", None)
        return
    methods = {"download": ("GET", "HEAD"), "upload": ("PUT", "POST")}.get(name, ("POST",))
    life_s = action.get("expires_in") if name == "download" else None
    life_s = life_s if type(life_s) is int and life_s > 0 else None
    action["href"] = ticket(Target(action["href"], methods, authorization, **about, life_s=life_s))
    for key, value in header.items():
        if key.isdecimal() and isinstance(value, str):
            header[key] = ticket(Target(value, ("PUT",), **about))


def _take(header: dict[str, Any], name: str) -> str | None:
    for key in list(header):
        if key.lower() == name:
            value = header.pop(key)
            return value if isinstance(value, str) else None
    return None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
