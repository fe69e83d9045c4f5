"""What the Hub and its Xet store (the CAS) say that would lead a client to that store, and what takes its place.

Contract section 5. Three kinds of answers name other places: a token names a CAS, a reconstruction names where ranges
of xorbs lie, a grant names where to put a xorb. Pure: addresses of ours are made by the functions that are handed in.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from yarl import URL

CAS_URL = "X-Xet-Cas-Url"
ACCESS_TOKEN = "X-Xet-Access-Token"  # noqa: S105 - the name of a header
_TOKEN_HEADERS = frozenset({CAS_URL.casefold(), ACCESS_TOKEN.casefold()})
_XORB_HASH = re.compile(r"[0-9a-f]{64}")
_RECONSTRUCTION = re.compile(r"/v\d+/reconstructions/[0-9a-f]{64}")


class XetMode(StrEnum):
    """What clients are told of Xet."""

    HTTP = "http"
    """No offers: files are fetched over plain HTTP, where clients take them so."""
    RELAY = "relay"
    """Offers that lead to the gateway."""
    DIRECT = "direct"
    """Offers as the Hub makes them: clients speak to its store themselves."""


class XetOffers(StrEnum):
    """Which files of a repository one caller is offered by Xet."""

    NONE = "none"
    LARGE = "large"
    """Those that clients take no other way."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class XetRoad:
    """How offers are told to one client.

    cas: our address that stands for every CAS. seal: makes a token of ours out of a CAS' address and its token.
    """

    mode: XetMode
    cas: str
    seal: Callable[[str, str], str]

    @property
    def leads_here(self) -> bool:
        """Whether the CAS is reached through us: also where files go over HTTP, for what goes by Xet alone."""
        return self.mode is not XetMode.DIRECT

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The headers of a token, ours in the places of the CAS' own; half a token is none."""
        told = list(headers)
        if not self.leads_here:
            return told
        found = {name.casefold(): value for name, value in told if name.casefold() in _TOKEN_HEADERS}
        if not found:
            return told
        others = [(name, value) for name, value in told if name.casefold() not in _TOKEN_HEADERS]
        if len(found) < len(_TOKEN_HEADERS):
            return others
        sealed = self.seal(found[CAS_URL.casefold()], found[ACCESS_TOKEN.casefold()])
        return [*others, (CAS_URL, self.cas), (ACCESS_TOKEN, sealed)]

    def token(self, document: Any) -> bool:
        """Changes the JSON of a token in place; whether it was one."""
        if not self.leads_here or not isinstance(document, dict):
            return False
        cas, token = document.get("casUrl"), document.get("accessToken")
        if not (isinstance(cas, str) and isinstance(token, str)):
            return False
        document["casUrl"], document["accessToken"] = self.cas, self.seal(cas, token)
        return True

    def token_within(self, header: dict[str, Any]) -> None:
        """Changes the headers that an LFS batch answer gives to git-xet (contract 5.5) in place."""
        texts = [(name, value) for name, value in header.items() if isinstance(value, str)]
        told = dict(self.headers(texts))
        for name, _ in texts:
            del header[name]
        header.update(told)

    def reconstruction(self, address: str) -> str:
        """Where a file's reconstruction is asked for; an address that is none stays."""
        if not self.leads_here or (match := _RECONSTRUCTION.search(address)) is None:
            return address
        return self.cas + match[0]


@dataclass(frozen=True, slots=True)
class XorbRange:
    """Bytes [start, stop) of a xorb, which are its chunks [first_chunk, last_chunk), and where they may be fetched."""

    xorb: str
    address: str
    start: int
    stop: int
    first_chunk: int
    last_chunk: int

    @property
    def size_bytes(self) -> int:
        return self.stop - self.start


def in_version_1(target: str) -> str | None:
    """Where the same reconstruction is asked for in version 1; None for a target that is not of version 2.

    There each range has an address of its own. An address of version 2 is signed for all of its ranges together, and
    may refuse to give one of them (xet-core, `openapi/cas.openapi.yaml`): too coarse for who has some of them already.
    """
    return "/v1/" + target.removeprefix("/v2/") if target.startswith("/v2/reconstructions/") else None


def in_version_2(document: Any) -> None:
    """Changes a reconstruction of version 1 into one of version 2 in place, an address for each range.

    Raises NotAReconstruction.
    """
    if not isinstance(document, dict) or not isinstance(found := document.pop("fetch_info", None), dict):
        return
    try:
        document["xorbs"] = {
            xorb: [
                {
                    **{name: value for name, value in fetch.items() if name not in {"range", "url_range"}},
                    "ranges": [{"chunks": fetch.get("range"), "bytes": fetch.get("url_range")}],
                }
                for fetch in fetches
            ]
            for xorb, fetches in found.items()
        }
    except (TypeError, AttributeError) as error:
        raise NotAReconstruction(str(error)) from None


class NotAReconstruction(ValueError):
    """The CAS said something else than its protocol has."""


def rewrite_reconstruction(document: Any, place: Callable[[XorbRange], str]) -> None:
    """Changes a reconstruction, of one file or of several, of either version, so that every range is at `place` of it.

    In version 2 an address may stand for several ranges: each gets an address of its own, which is how clients ask for
    them anyway (xet-core, `file_term.rs`: ranges are split unless multi-range fetching is switched on). Raises
    NotAReconstruction.
    """
    try:
        for xorb, fetches in (document.get("fetch_info") or {}).items():
            for fetch in fetches:
                fetch["url"] = place(_range(xorb, fetch["url"], fetch["url_range"], fetch["range"]))
        for xorb, fetches in (document.get("xorbs") or {}).items():
            document["xorbs"][xorb] = [
                {**fetch, "url": place(_range(xorb, fetch["url"], part["bytes"], part["chunks"])), "ranges": [part]}
                for fetch in fetches
                for part in fetch["ranges"]
            ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotAReconstruction(str(error)) from None


def _range(xorb: str, address: Any, in_bytes: Any, in_chunks: Any) -> XorbRange:
    """Ranges of bytes include their end on the wire, those of chunks do not (contract 5.3)."""
    found = XorbRange(
        xorb, address, in_bytes["start"], in_bytes["end"] + 1, int(in_chunks["start"]), int(in_chunks["end"])
    )
    if not (
        _XORB_HASH.fullmatch(xorb)
        and isinstance(address, str)
        and URL(address, encoded=True).origin().scheme in {"http", "https"}
        and isinstance(found.start, int)
        and 0 <= found.start < found.stop
        and 0 <= found.first_chunk < found.last_chunk
    ):
        raise ValueError(f"{in_bytes!r} of {xorb!r}")
    return found
