"""Who may read what is kept: a remembered «yes» of the Hub, never a guess.

A yes is the Hub's answer to a question about this repository at this commit, on behalf of this credential. It holds for
a short time, for the whole commit, and for nobody else; an anonymous yes holds for everybody. A refusal takes back what
was remembered for its credential at once. Root files that a gated repository shows to everybody (contract 1.4) prove
nothing about the rest: a yes for one of them holds for that file alone.
"""

import re
import time
from collections import OrderedDict

from hfproxy.upstream.credentials import Credential

EVERYBODY = "everybody"
BROUGHT = "brought"
"""For what an operator brought in by hand: whom the gateway answers for, while it is offline; nobody else."""
_OPEN_IN_GATED = re.compile(r"(README|LICEN[CS]E)[^/]*", re.IGNORECASE)
MOST_REMEMBERED = 20_000

Yes = tuple[str, str, str, str]
"""Repository, commit hash, audience, path (empty: all of the commit)."""


def audience(credential: Credential) -> str:
    """Who gets a yes that was given to this credential."""
    return EVERYBODY if credential.token is None else f"{credential.owner}-{credential.fingerprint}"


class Rights:
    """The yeses of one gateway, in memory; `store` keeps them for when the Hub is away."""

    def __init__(self, *, ttl_s: float, stale_s: float, offline: bool = False) -> None:
        self._ttl_s, self.stale_s, self._offline = ttl_s, stale_s, offline
        self._said_at: OrderedDict[Yes, float] = OrderedDict()
        self.unwritten: dict[Yes, float] = {}
        self.taken_back: set[Yes] = set()
        self.refused: set[tuple[str, str]] = set()
        """Repository and audience: what other processes are to hear."""

    def grant(self, repo: str, commit_hash: str, path: str, credential: Credential) -> None:
        """Remembers that the Hub let this credential read a path."""
        scope = path if _OPEN_IN_GATED.fullmatch(path) else ""
        self.remember((repo, commit_hash, audience(credential), scope), time.time())

    def remember(self, yes: Yes, said_at_s: float) -> None:
        """Takes in a yes that was said then."""
        self._said_at[yes] = said_at_s
        self._said_at.move_to_end(yes)
        self.unwritten[yes] = said_at_s
        self.taken_back.discard(yes)
        if len(self._said_at) > MOST_REMEMBERED:
            self._said_at.popitem(last=False)

    def allows(self, repo: str, commit_hash: str, path: str, credential: Credential) -> bool:
        """Whether the Hub said yes lately, to this credential or to everybody."""
        return self._young(repo, commit_hash, path, audience(credential), self._ttl_s) or self._young(
            repo, commit_hash, path, EVERYBODY, self._ttl_s
        )

    def allowed_before(self, repo: str, commit_hash: str, path: str, credential: Credential) -> bool:
        """Whether a yes may be stretched while the Hub cannot be asked: everybody's, and the gateway's own.

        A caller's own token may have been revoked since, and nobody here can tell. What an operator brought in is for
        offline gateways alone: others ask the Hub.
        """
        if self._young(repo, commit_hash, path, EVERYBODY, self.stale_s):
            return True
        if credential.owner == "caller":
            return False
        return self._young(repo, commit_hash, path, audience(credential), self.stale_s) or (
            self._offline and self._young(repo, commit_hash, path, BROUGHT, self.stale_s)
        )

    def refuse(self, repo: str, credential: Credential) -> None:
        """Takes back every yes to this credential for this repository, and to everybody: it was not open to one."""
        who = audience(credential)
        self.refused.add((repo, who))
        self.refuse_audience(repo, who)

    def refuse_audience(self, repo: str, who: str) -> None:
        """The same for a refusal that another process heard."""
        self._take_back([yes for yes in self._said_at if yes[0] == repo and yes[2] in {who, EVERYBODY}])

    def forget(self, repo: str) -> None:
        """Takes back every yes for a repository."""
        self._take_back([yes for yes in self._said_at if yes[0] == repo])

    def _take_back(self, yeses: list[Yes]) -> None:
        for yes in yeses:
            del self._said_at[yes]
            self.unwritten.pop(yes, None)
            self.taken_back.add(yes)

    def _young(self, repo: str, commit_hash: str, path: str, who: str, ttl_s: float) -> bool:
        for scope in ("", path):
            said_at = self._said_at.get((repo, commit_hash, who, scope))
            # A clock that jumped back makes a yes seem to come from the future: that is no yes.
            if said_at is not None and -1 <= time.time() - said_at < ttl_s:
                return True
        return False
