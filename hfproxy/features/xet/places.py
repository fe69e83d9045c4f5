"""Addresses of ours for ranges of xorbs: each is the right of one caller to one range, from one reconstruction."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from hfproxy.downstream.access import Caller
from hfproxy.errors import PlaceExpired
from hfproxy.features.passthrough.xet_tokens import caller_of, sealed_caller
from hfproxy.seals import BadSeal, Seals
from hfproxy.upstream.xet import XorbRange

PATH = "/-/xet/xorbs/"
# The store's own addresses live for an hour: what is kept can be had for longer, so that no slow client loses its way.
LIFE_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address of ours leads, whom it was given to, and for which repository."""

    range: XorbRange
    caller: Caller
    repo: str | None


class Places:
    """Makes and reads them; nothing is kept."""

    def __init__(self, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._seals, self._clock = Seals(key), clock

    def issue(self, found: XorbRange, caller: Caller, repo: str | None) -> str:
        """One path segment."""
        until = int(self._clock()) + LIFE_S
        return self._seals.seal({"range": asdict(found), "caller": sealed_caller(caller), "repo": repo, "until": until})

    def read(self, text: str, *, address: str | None = None) -> Place:
        """Where it leads; `address` is where its caller is now. Raises PlaceExpired, also for what we never made."""
        try:
            plain = self._seals.open(text)
        except BadSeal:
            raise PlaceExpired("this gateway gave no such address: ask for the reconstruction again") from None
        if plain["until"] < self._clock():
            raise PlaceExpired("ask for the reconstruction again")
        caller = replace(caller_of(plain["caller"]), address=address)
        return Place(XorbRange(**plain["range"]), caller, plain["repo"])
