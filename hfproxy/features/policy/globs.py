"""Globs of rules, and an index that tries only those whose beginning or end fits.

`*` stands for any characters but `/`, `**` for any characters, `?` for one but `/`; `**/` at the beginning or behind a
`/` also stands for no folder at all. Case does not matter.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

_MOST_CHARACTERS = 200
_KEY_LENGTH = 4
_WILD = re.compile(r"\*\*/|[*?]")
_DOUBLE_STAR = re.compile(r"((?:^|(?<=/))\*\*/|\*\*)")


class BadGlob(ValueError):
    """What was given is no glob of ours; the message says why."""


@lru_cache(maxsize=65536)
def compiled(glob: str) -> re.Pattern[str]:
    """The expression that matches a folded text as a whole. Raises BadGlob.

    What stands between two stars is looked for once, at its first place: no later place can make a match that the
    first does not, since what is left for the rest is only less. So no text makes a glob slow.
    """
    if not glob or len(glob) > _MOST_CHARACTERS:
        raise BadGlob(f"{glob!r}: write 1 to {_MOST_CHARACTERS} characters")
    if "***" in glob:
        raise BadGlob(f"{glob!r}: write '*' or '**'")
    first, *others = _DOUBLE_STAR.split(glob.casefold())
    stars, pieces = others[::2], [first, *others[1::2]]
    expression = _piece(pieces[0], last=not stars)
    for place, star in enumerate(stars, start=1):
        last = place == len(stars)
        opening = ("(?:.*/)?" if last else "(?:.*?/)??") if star == "**/" else (".*" if last else ".*?")
        piece = opening + _piece(pieces[place], last=last)
        expression += piece if last else f"(?>{piece})"
    return re.compile(expression, re.DOTALL)


def _piece(text: str, *, last: bool) -> str:
    """What stands before, between or after double stars."""
    first, *others = text.split("*")
    expression = _fixed(first)
    for place, fixed in enumerate(others, start=1):
        ends_the_text = last and place == len(others)
        expression += f"[^/]*{_fixed(fixed)}" if ends_the_text else f"(?>[^/]*?{_fixed(fixed)})"
    return expression


def _fixed(text: str) -> str:
    return "[^/]".join(re.escape(part) for part in text.split("?"))


def matches(glob: str, text: str) -> bool:
    """Whether the glob means this text."""
    return compiled(glob).fullmatch(text.casefold()) is not None


class GlobIndex:
    """Finds out which of many globs match a text. Each glob carries bits; the bits of those that match are given."""

    def __init__(self, globs: Iterable[tuple[str, int]] = ()) -> None:
        self._exact: dict[str, int] = {}
        self._beginnings: dict[str, dict[str, int]] = {}
        self._ends: dict[str, dict[str, int]] = {}
        self._others: dict[str, int] = {}
        for glob, bits in globs:
            self._add(glob.casefold(), bits)

    def _add(self, glob: str, bits: int) -> None:
        compiled(glob)
        fixed = _WILD.split(glob)
        beginning, end = fixed[0], fixed[-1]
        if beginning == glob:
            self._exact[glob] = self._exact.get(glob, 0) | bits
            return
        places = []
        if beginning:
            places.append(self._beginnings.setdefault(beginning[:_KEY_LENGTH], {}))
        if end:
            places.append(self._ends.setdefault(end[-_KEY_LENGTH:], {}))
        # Many globs end alike (`*.bin`) and begin differently, or the other way round: the emptier place tells more.
        place = min(places, key=len, default=self._others)
        place[glob] = place.get(glob, 0) | bits

    def bits(self, folded: str) -> int:
        """The bits of every glob that matches this folded text."""
        found = self._exact.get(folded, 0)
        for length in range(1, _KEY_LENGTH + 1):
            if (globs := self._ends.get(folded[-length:])) is not None:
                found |= _matching(globs, folded)
            if (globs := self._beginnings.get(folded[:length])) is not None:
                found |= _matching(globs, folded)
        return found | _matching(self._others, folded) if self._others else found


def _matching(globs: dict[str, int], folded: str) -> int:
    found = 0
    for glob, bits in globs.items():
        if compiled(glob).fullmatch(folded):
            found |= bits
    return found
