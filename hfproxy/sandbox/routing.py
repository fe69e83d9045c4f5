"""Routes over the raw path: split at `/` first, decode each segment once.

A pattern is a path whose segments are literals or one of

    {name}      one segment
    {name:rest} all that is left, joined with `/`; at least one segment
    {types}     `models`, `datasets`, `spaces` or `kernels`: the type of the repository that follows
    {web}       nothing, `datasets`, `spaces` or `kernels`: the same in web addresses
    {repo}      an id: `owner/name`, or a bare `name` where one of that name is known
    {repo.git}  an id whose `.git` ending is left out

aiohttp's own router decodes before it matches: `refs%2Fpr%2F1/x` would become a revision `refs` and a file `pr/1/x`.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

from hfproxy.upstream.refs import RepoType

from .refusals import BadRequest

if TYPE_CHECKING:
    from .call import Call

Handler = Callable[["Call"], Awaitable[web.StreamResponse]]
KnowsBare = Callable[[RepoType, str], bool]
API_SEGMENTS = {repo_type.api_segment: repo_type for repo_type in RepoType}
WEB_SEGMENTS = {segment: repo_type for segment, repo_type in API_SEGMENTS.items() if repo_type is not RepoType.MODEL}


@dataclass(frozen=True, slots=True)
class Match:
    """What a path says: its parameters, and the repository it names with the place of its id in the path."""

    params: dict[str, str] = field(default_factory=dict)
    repo_type: RepoType | None = None
    repo_id: str | None = None
    id_span: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    segments: tuple[str, ...]
    handler: Handler


class Routes:
    """A table of handlers, filled by decorators; the first pattern that fits answers."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(self, method: str, *patterns: str) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self._routes += [Route(method, split(pattern), handler) for pattern in patterns]
            return handler

        return register

    def get(self, *patterns: str) -> Callable[[Handler], Handler]:
        return self.add("GET", *patterns)

    def head(self, *patterns: str) -> Callable[[Handler], Handler]:
        return self.add("HEAD", *patterns)

    def post(self, *patterns: str) -> Callable[[Handler], Handler]:
        return self.add("POST", *patterns)

    def put(self, *patterns: str) -> Callable[[Handler], Handler]:
        return self.add("PUT", *patterns)

    def patch(self, *patterns: str) -> Callable[[Handler], Handler]:
        return self.add("PATCH", *patterns)

    def delete(self, *patterns: str) -> Callable[[Handler], Handler]:
        return self.add("DELETE", *patterns)

    def include(self, other: "Routes") -> None:
        self._routes += other._routes

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def find(self, method: str, raw_path: str, knows_bare: KnowsBare) -> tuple[Handler, Match] | None:
        """The handler for a request and what its path says. HEAD is answered like GET where nothing else is said.

        Raises BadRequest for a path that is not percent-encoded UTF-8.
        """
        segments = split(raw_path)
        # A bare id is the last guess unless it is known: `alice/refs` is a repository, not the refs of `alice`.
        for lengths in (knows_bare, _always):
            for asked in (method, "GET") if method == "HEAD" else (method,):
                for route in self._routes:
                    if route.method == asked:
                        for match in matches(route.segments, segments, lengths):
                            return route.handler, match
        return None


def split(raw_path: str) -> tuple[str, ...]:
    """A path's raw segments; a slash at its end says nothing."""
    return tuple(raw_path.removeprefix("/").removesuffix("/").split("/"))


def matches(pattern: tuple[str, ...], segments: tuple[str, ...], knows_bare: KnowsBare) -> Iterator[Match]:
    """All readings of a path under a pattern, the likeliest first."""
    yield from _matches(pattern, segments, 0, Match(), knows_bare)


def _matches(
    pattern: tuple[str, ...], segments: tuple[str, ...], at: int, so_far: Match, knows_bare: KnowsBare
) -> Iterator[Match]:
    if not pattern:
        if at == len(segments):
            yield so_far
        return
    piece, rest = pattern[0], pattern[1:]
    here = segments[at] if at < len(segments) else None
    if piece == "{web}":
        if here in WEB_SEGMENTS:
            yield from _matches(rest, segments, at + 1, _typed(so_far, WEB_SEGMENTS[here]), knows_bare)
        else:
            yield from _matches(rest, segments, at, _typed(so_far, RepoType.MODEL), knows_bare)
    elif not here:
        return
    elif piece == "{types}":
        if here in API_SEGMENTS:
            yield from _matches(rest, segments, at + 1, _typed(so_far, API_SEGMENTS[here]), knows_bare)
    elif piece in {"{repo}", "{repo.git}"}:
        for length in _id_lengths(so_far.repo_type or RepoType.MODEL, segments, at, knows_bare):
            repo_id = "/".join(decode(segment) for segment in segments[at : at + length])
            if piece == "{repo.git}":
                repo_id = repo_id.removesuffix(".git")
            found = Match(so_far.params, so_far.repo_type, repo_id, (at, at + length))
            yield from _matches(rest, segments, at + length, found, knows_bare)
    elif piece.startswith("{"):
        name, _, kind = piece.strip("{}").partition(":")
        stop = len(segments) if kind == "rest" else at + 1
        value = "/".join(decode(segment) for segment in segments[at:stop])
        found = Match({**so_far.params, name: value}, so_far.repo_type, so_far.repo_id, so_far.id_span)
        yield from _matches(rest, segments, stop, found, knows_bare)
    elif decode(here) == piece:
        # A pattern may name one type instead of `{types}`.
        known = _typed(so_far, API_SEGMENTS[piece]) if piece in API_SEGMENTS else so_far
        yield from _matches(rest, segments, at + 1, known, knows_bare)


def decode(segment: str) -> str:
    """A segment as it was meant. Raises BadRequest."""
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("The path is not percent-encoded UTF-8") from None


def _typed(match: Match, repo_type: RepoType) -> Match:
    return Match(match.params, repo_type, match.repo_id, match.id_span)


def _always(repo_type: RepoType, name: str) -> bool:
    return True


def _id_lengths(repo_type: RepoType, segments: tuple[str, ...], at: int, knows_bare: KnowsBare) -> tuple[int, ...]:
    bare = knows_bare(repo_type, decode(segments[at]).removesuffix(".git"))
    return tuple(length for length in ((1, 2) if bare else (2,)) if at + length <= len(segments))
