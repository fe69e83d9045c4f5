"""What a path of the Hub is about: the kind of call, the repository it names, and whether it reads or changes.

The one place that reads Hub paths we do not serve ourselves. A path is split first and each segment decoded once
(contract 9.1). A path that could be read in two ways is classified by its most powerful reading, since what is decided
here is who may send it; what is sent upstream are the bytes that came, never this reading of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote

from hfproxy.upstream.bodies import body_lines, items_of, named_in, sources_in_line
from hfproxy.upstream.calls import PAGES, SAFE_METHODS, SERVICES, SPACE_SERVICES, UNKNOWN, VERBS, Kind, Right
from hfproxy.upstream.documents import read_object
from hfproxy.upstream.refs import BadReference, BucketRef, HubRef, RepoRef, RepoType, is_commit_hash


@dataclass(frozen=True, slots=True)
class Route:
    """One path, read.

    repos, buckets: all that it names. sources: what its body reads from besides. rest: the segments behind the first
    repository's name. shared: it tells nothing of any repository. bare: clients send it without their token, whoever
    they are. reaches: it may read, or let a Space read and perhaps change, what neither path nor body says readably
    (contract 2.1, 7).
    """

    kind: Kind
    right: Right
    repos: tuple[RepoRef, ...] = ()
    buckets: tuple[BucketRef, ...] = ()
    sources: tuple[HubRef, ...] = ()
    revision: str | None = None
    rest: tuple[str, ...] = ()
    shared: bool = False
    bare: bool = False
    reaches: bool = False

    @property
    def repo(self) -> RepoRef | None:
        return self.repos[0] if self.repos else None

    @property
    def bucket(self) -> BucketRef | None:
        return self.buckets[0] if self.buckets else None

    @property
    def named(self) -> tuple[HubRef, ...]:
        return self.repos + self.buckets

    @property
    def lacks_name(self) -> bool:
        """Whether it changes a second repository, and its body does not say in a readable way which."""
        return self.kind in _TO_ANOTHER and self.right is not Right.READ and len(self.named) < 2

    @property
    def is_git(self) -> bool:
        return self.kind in _GIT

    def naming(self, body: bytes) -> "Route":
        """The same route with what its body says: the repositories, and for an LFS batch whether it reads.

        Raises BadReference.
        """
        if self.kind is Kind.BUCKET_BATCH:
            sources = tuple(dict.fromkeys(source for line in body_lines(body) for source in sources_in_line(line)))
            return replace(self, sources=tuple(filter(None, sources)), reaches=self.reaches or None in sources)
        document = read_object(body)
        if self.kind is Kind.LFS_BATCH:
            return replace(self, right=Right.READ if document.get("operation") == "download" else Right.WRITE)
        if self.kind is Kind.COLLECTION:
            return replace(self, sources=items_of(document))
        reaches = self.reaches or bool(document.get("volumes"))
        named = named_in(document, self.kind, self.repo)
        repos = tuple(ref for ref in named if isinstance(ref, RepoRef))
        buckets = tuple(ref for ref in named if isinstance(ref, BucketRef))
        return replace(self, repos=self.repos + repos, buckets=self.buckets + buckets, reaches=reaches)


_GIT = frozenset({Kind.GIT_REFS, Kind.GIT_FETCH, Kind.GIT_PUSH, Kind.LFS_BATCH, Kind.LFS_VERIFY})
_TO_ANOTHER = frozenset({Kind.MOVE, Kind.DUPLICATE, Kind.DUPLICATE_LFS})
# Their repositories, or their direction, stand in the body.
TOLD_BY_BODY = frozenset(
    {Kind.CREATE, Kind.DELETE, Kind.MOVE, Kind.DUPLICATE, Kind.DUPLICATE_LFS, Kind.LFS_BATCH}
    | {Kind.BUCKET_BATCH, Kind.COLLECTION}
)

_GIT_SUFFIX = ".git"
_TYPES = {repo_type.api_segment: repo_type for repo_type in RepoType}
# First segments that are nobody's name.
_ROOTS = frozenset({"api", "buckets", "oauth", *_TYPES})
_WEB_VERBS = frozenset({"resolve", "raw", "blob", "tree", "commit", "commits", "discussions", "info", "ask-access"}) | {
    "git-upload-pack",
    "git-receive-pack",
}
_KIND_OF_REPOS_CALL = {"create": Kind.CREATE, "delete": Kind.DELETE, "move": Kind.MOVE}
# Reads that are a POST, since what they ask does not fit an address.
_READING_POSTS = frozenset({Kind.PATHS_INFO, Kind.GIT_FETCH, Kind.OAUTH})
# Segments that make any path the account's own business (contract 1.1, 3.5, 7; the Hub's OpenAPI).
_ACCOUNT_SEGMENTS = frozenset({"jwt", "billing", "audit-log", "scim", "service-accounts", "user-access-request"})
_ACCOUNT_ROOTS = frozenset(name for (_, name), service in SERVICES.items() if service.account)


class UnsafePath(ValueError):
    """A path with `.` or `..` in it: what it names depends on who reads it."""


def classify(method: str, raw_target: str) -> Route:
    """What a call to this undecoded path (and query) is about. Raises UnsafePath."""
    raw_path, _, query = raw_target.partition("?")
    # Empty segments are passed on, and ignored here: servers in front of the Hub may merge slashes.
    segments = [unquote(segment, errors="replace") for segment in raw_path.split("/") if segment]
    every_part = [part for segment in segments for part in segment.split("/")]
    if any(part in {".", ".."} for part in every_part):
        raise UnsafePath(f"{raw_path!r} has a '.' or '..' segment")
    route = _read(segments, dict(parse_qsl(query)))
    service = None if route.repos else SERVICES.get(tuple(every_part[:2]))
    shared = service is not None and service.shared
    bare = service is not None and method in service.bare and (len(every_part) == 2 or service.bare_below)
    reaches = route.reaches and method not in SAFE_METHODS | {"DELETE"}
    return replace(route, right=_right(method, route, every_part), shared=shared, bare=bare, reaches=reaches)


def _read(segments: Sequence[str], query: dict[str, str]) -> Route:
    if segments and segments[0] not in _ROOTS and segments[0].lower() in _ROOTS:
        # A server that ignores case would take it for a root of its own, and not for somebody's name.
        return _route(Kind.OTHER)
    match segments:
        case ["api", "repos", call] if call in _KIND_OF_REPOS_CALL:
            return _route(_KIND_OF_REPOS_CALL[call])
        case ["api", "resolve-cache", types, name, revision, *_] if types in _TYPES and is_commit_hash(revision):
            return _repo_route(Kind.RESOLVE_CACHE, _TYPES[types], name, revision)
        case ["api", "resolve-cache", types, owner, name, revision, *_] if types in _TYPES:
            return _repo_route(Kind.RESOLVE_CACHE, _TYPES[types], f"{owner}/{name}", revision)
        case ["api", "buckets", *rest]:
            return _bucket_api(rest)
        case ["api", "collections", *_]:
            return _route(Kind.COLLECTION)
        case ["api", "jobs" | "scheduled-jobs", *_]:
            # What a job may read is said in its volumes, and in what it runs.
            return replace(_route(Kind.OTHER), reaches=True)
        case ["api", "spaces", service, *_] if service in SPACE_SERVICES:
            return _route(Kind.OTHER)
        case ["api", types, *rest] if types in _TYPES and rest:
            return _repo_api(_TYPES[types], rest)
        case ["oauth", *_]:
            return _route(Kind.OAUTH)
        case ["buckets", owner, name, "resolve", *_]:
            return _bucket_route(Kind.RESOLVE, owner, name)
        case [types, *rest] if types in _TYPES and types != "models":
            return _web(_TYPES[types], rest, query)
        case ["api" | "buckets", *_]:
            return _route(Kind.OTHER)
    return _web(RepoType.MODEL, segments, query)


def _repo_api(repo_type: RepoType, rest: Sequence[str]) -> Route:
    length = _api_id_length(rest)
    repo_id, verb, more = "/".join(rest[:length]), rest[length : length + 1], rest[length + 1 :]
    # A server may ignore the case of what it is asked to do.
    asked = [segment.lower() for segment in (*verb, *more)]
    kind = VERBS.get(asked[0], UNKNOWN).kind if asked else Kind.INFO
    if asked == ["lfs-files", "duplicate"]:
        kind = Kind.DUPLICATE_LFS
    route = _repo_route(kind, repo_type, repo_id, more[0] if more else None, rest[length:])
    return replace(route, reaches=asked == ["volumes"])


def _api_id_length(rest: Sequence[str]) -> int:
    """How many segments the id has: two, or one where a verb can only be read as such."""
    # A server may ignore the case of what it is asked to do; but `acme/Metrics` alone is a name before it is a call.
    verbs = [segment if len(rest) == 2 else segment.lower() for segment in rest[1:3]]
    if len(rest) < 2 or not _in_api(verbs[0]):
        return min(len(rest), 2)
    if len(rest) == 2:
        return 2 if VERBS[rest[1]].has_more else 1
    return 2 if _in_api(verbs[1]) else 1


def _in_api(segment: str) -> bool:
    return segment in VERBS and VERBS[segment].in_api


def _bucket_api(rest: Sequence[str]) -> Route:
    if len(rest) < 2:
        return _route(Kind.OTHER)
    verb = rest[2].lower() if len(rest) > 2 else ""
    kind = {
        "": Kind.CREATE,
        "xet-read-token": Kind.XET_READ_TOKEN,
        "xet-write-token": Kind.XET_WRITE_TOKEN,
        "paths-info": Kind.PATHS_INFO,
        "tree": Kind.TREE,
        "batch": Kind.BUCKET_BATCH,
    }.get(verb, Kind.OTHER)
    return _bucket_route(kind, rest[0], rest[1])


def _bucket_route(kind: Kind, owner: str, name: str) -> Route:
    try:
        return Route(kind, Right.READ, buckets=(BucketRef.parse(f"{owner}/{name}"),))
    except BadReference:
        return _route(Kind.OTHER)


def _web(repo_type: RepoType, rest: Sequence[str], query: dict[str, str]) -> Route:
    for length in (2, 1):
        if len(rest) >= length and rest[length - 1].lower().endswith(_GIT_SUFFIX):
            repo_id = "/".join(rest[:length])[: -len(_GIT_SUFFIX)]
            return _git_route(repo_type, repo_id, rest[length:], query)
    for length in (2, 1):
        if len(rest) > length and rest[length] in _WEB_VERBS:
            return _web_verb(repo_type, "/".join(rest[:length]), rest[length:], query)
    if len(rest) == 2 and rest[0] not in PAGES:
        return _repo_route(Kind.OTHER, repo_type, "/".join(rest), None)
    return _route(Kind.OTHER)


def _web_verb(repo_type: RepoType, repo_id: str, rest: Sequence[str], query: dict[str, str]) -> Route:
    verb = rest[0]
    if verb in {"info", "git-upload-pack", "git-receive-pack"}:
        return _git_route(repo_type, repo_id, rest, query)
    kind = {"resolve": Kind.RESOLVE, "raw": Kind.RAW}.get(verb, Kind.OTHER)
    return _repo_route(kind, repo_type, repo_id, rest[1] if len(rest) > 1 else None, rest)


def _git_route(repo_type: RepoType, repo_id: str, rest: Sequence[str], query: dict[str, str]) -> Route:
    match rest:
        case ["info", "refs"]:
            kind = Kind.GIT_REFS
        case ["git-upload-pack"]:
            kind = Kind.GIT_FETCH
        case ["git-receive-pack"]:
            kind = Kind.GIT_PUSH
        case ["info", "lfs", "objects", "batch"]:
            kind = Kind.LFS_BATCH
        case ["info", "lfs", "objects", "verify"]:
            kind = Kind.LFS_VERIFY
        case _:
            kind = Kind.OTHER
    route = _repo_route(kind, repo_type, repo_id, None, rest)
    pushes = kind is Kind.GIT_REFS and query.get("service") != "git-upload-pack"
    return replace(route, right=Right.WRITE) if pushes else route


def _route(kind: Kind) -> Route:
    return Route(kind, Right.READ)


def _repo_route(kind: Kind, repo_type: RepoType, repo_id: str, revision: str | None, rest: Sequence[str] = ()) -> Route:
    try:
        return Route(kind, Right.READ, (RepoRef.parse(repo_type, repo_id),), revision=revision, rest=tuple(rest))
    except BadReference:
        return _route(Kind.OTHER)


def _right(method: str, route: Route, parts: Sequence[str]) -> Right:
    parts = [part.lower() for part in parts]
    api = parts[1:] if parts[:1] == ["api"] else parts
    account = bool(api) and (
        api[0] in _ACCOUNT_ROOTS
        or not _ACCOUNT_SEGMENTS.isdisjoint(api)
        or (api[0] == "organizations" and len(api) > 2 and api[2] == "settings")
    )
    if account:
        return Right.ACCOUNT
    if route.right is Right.WRITE or "xet-write-token" in parts:
        return Right.WRITE
    reads = (
        method in SAFE_METHODS
        or (method == "POST" and route.kind in _READING_POSTS)
        or (method == "POST" and parts == ["api", "validate-yaml"])
    )
    return Right.READ if reads else Right.WRITE
