"""One relayed call: what is asked, and what is answered."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from multidict import CIMultiDict

from hfproxy.downstream.access import Caller
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.routes import Route
from hfproxy.upstream.xet import XetOffers


@dataclass(frozen=True, slots=True)
class Question:
    """A request as it came, and what was made of it.

    target: path and query, undecoded. body: None if there is none. base: the gateway as this client knows it;
    prefix: the path in `base`. offers: what is left in the answer of offers to fetch files by Xet.
    """

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: AsyncIterable[bytes] | bytes | None
    route: Route
    credential: Credential
    base: str
    prefix: str
    caller: Caller
    offers: XetOffers = XetOffers.NONE


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer for the caller; `body` is to be read once, while the context that gave the answer is open."""

    status: int
    reason: str
    headers: CIMultiDict[str]
    body: AsyncIterator[bytes]
