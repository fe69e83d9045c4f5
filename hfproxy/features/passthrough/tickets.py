"""Addresses of ours that stand for a place the Hub named: sealed, so that they open no other place and tell nothing."""

from collections.abc import Callable
from dataclasses import asdict
from time import time

from hfproxy.seals import BadSeal, Seals
from hfproxy.upstream.lfs import Target

# A large upload asks for all its addresses at the start; the store's own signature ends earlier if it must.
LIFE_S = 24 * 3600
# A right to read an object must not outlive the Hub's own; where it names no end, its signed addresses live an hour.
READING_LIFE_S = 3600


class BadTicket(ValueError):
    """Not a ticket of this gateway, or one that has run out."""


class TicketOffice:
    """Makes and reads tickets. Whoever holds one may go where it leads, and only there, until it runs out."""

    def __init__(self, key: bytes, *, clock: Callable[[], float] = time) -> None:
        self._seals = Seals(key)
        self._clock = clock

    def issue(self, target: Target) -> str:
        """The ticket's text: one path segment that needs no encoding."""
        life_s = min(target.life_s or READING_LIFE_S, LIFE_S) if target.gives_object else LIFE_S
        return self._seals.seal({**asdict(target), "until": int(self._clock()) + life_s})

    def read(self, text: str) -> Target:
        """Where the ticket leads. Raises BadTicket."""
        try:
            plain = self._seals.open(text)
        except BadSeal:
            raise BadTicket("this gateway made no such ticket") from None
        if plain.pop("until") < self._clock():
            raise BadTicket("the ticket has run out: ask for the transfer again")
        listed = {name: tuple(plain[name]) for name in ("methods", "holder") if plain.get(name) is not None}
        return Target(**{**plain, **listed})
