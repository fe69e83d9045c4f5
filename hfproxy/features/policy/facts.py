"""What the Hub says of a repository that rules ask for: the name it goes by now, and its licence."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from hfproxy.errors import HubMisspoke
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.documents import read_document
from hfproxy.upstream.refs import HubRef

_REMEMBERED_S = 300.0
_MOST_REMEMBERED = 10_000
_TAG = "license:"


@dataclass(frozen=True, slots=True)
class RepoFacts:
    """repo: the folded id that the Hub knows it by. licences: folded; empty where the Hub names none."""

    repo: str
    licences: tuple[str, ...]


class KnowsRepos(Protocol):
    """Tells about repositories, to those who may see them."""

    async def about(self, ref: HubRef, credential: Credential) -> RepoFacts:
        """What the Hub says to this credential. Raises HubRefused, UpstreamError."""

    def recall(self, ref: HubRef, credential: Credential) -> RepoFacts | None:
        """The same, if it is known at once."""

    def forget(self, ref: HubRef) -> None:
        """Forgets what was said of a repository that was written to."""


class AskedRepos:
    """Asks once in five minutes for each repository and credential. ask: the body of the Hub's repository info."""

    def __init__(self, ask: Callable[[HubRef, Credential], Awaitable[bytes]]) -> None:
        self._ask = ask
        self._known: OrderedDict[tuple[HubRef, Credential], tuple[float, RepoFacts]] = OrderedDict()

    async def about(self, ref: HubRef, credential: Credential) -> RepoFacts:
        if (known := self.recall(ref, credential)) is not None:
            return known
        facts = facts_in(await self._ask(ref, credential), ref)
        self._known[ref.folded, credential] = (time.monotonic() + _REMEMBERED_S, facts)
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
        return facts

    def recall(self, ref: HubRef, credential: Credential) -> RepoFacts | None:
        until, facts = self._known.get((ref.folded, credential), (0.0, None))
        return facts if until > time.monotonic() else None

    def forget(self, ref: HubRef) -> None:
        folded = ref.folded
        for key in [key for key in self._known if key[0] == folded or (not folded.namespace and _same(key[0], folded))]:
            del self._known[key]


def facts_in(body: bytes, ref: HubRef) -> RepoFacts:
    """The facts in a repository info (contract 3.2). Raises HubMisspoke."""
    try:
        said = read_document(body)
    except ValueError:
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("id"), str):
        raise HubMisspoke("repository info without an id", asked=f"GET {ref.api_path}")
    return RepoFacts(said["id"].casefold(), tuple(sorted(_licences(said))))


def _licences(said: dict[str, Any]) -> set[str]:
    """From the card, and from the tags, which the Hub makes from it and which are there where cards are not told."""
    card = said.get("cardData")
    named = card.get("license") if isinstance(card, dict) else None
    found = {named} if isinstance(named, str) else set(named) if isinstance(named, list) else set()
    tags = said.get("tags")
    found |= {tag[len(_TAG) :] for tag in tags if str(tag).startswith(_TAG)} if isinstance(tags, list) else set()
    return {text.strip().casefold() for text in found if isinstance(text, str) and text.strip()}


def _same(one: HubRef, other: HubRef) -> bool:
    return (one.kind, one.name) == (other.kind, other.name)
