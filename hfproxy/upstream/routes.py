"""What a path of the Hub is about: the kind of call, the repository it names, and whether it reads or changes.

The one place that reads Hub paths we do not serve ourselves. A path is split first and each segment decoded once
(contract 9.1). A path that could be read in two ways is classified by its most powerful reading, since what is decided
here is who may send it; what is sent upstream are the bytes that came, never this reading of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto
from typing import Any
from urllib.parse import parse_qsl, unquote

from hfproxy.upstream.documents import read_object
from hfproxy.upstream.refs import BadReference, BucketRef, HubRef, RepoRef, RepoType, is_commit_hash

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Right(Enum):
    """What a call takes. ACCOUNT: it shows or changes the account itself, or hands out its credentials."""

    READ = auto()
    WRITE = auto()
    ACCOUNT = auto()


class Kind(StrEnum):
    """The calls whose questions or answers need care; OTHER is everything else."""

    RESOLVE = auto()
    RESOLVE_CACHE = auto()
    RAW = auto()
    INFO = auto()
    TREE = auto()
    PATHS_INFO = auto()
    PREUPLOAD = auto()
    COMMIT = auto()
    CREATE = auto()
    DELETE = auto()
    MOVE = auto()
    DUPLICATE = auto()
    DUPLICATE_LFS = auto()
    DISCUSSIONS = auto()
    XET_READ_TOKEN = auto()
    XET_WRITE_TOKEN = auto()
    BUCKET_BATCH = auto()
    COLLECTION = auto()
    LFS_BATCH = auto()
    LFS_VERIFY = auto()
    GIT_REFS = auto()
    GIT_FETCH = auto()
    GIT_PUSH = auto()
    OAUTH = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One path, read.

    repos, buckets: all that it names. sources: what its body reads from besides. shared: it tells nothing of any
    repository. bare: clients send it without their token, whoever they are. reaches: it may read, or let a Space read
    and perhaps change, what neither path nor body says readably (contract 2.1, 7).
    """

    kind: Kind
    right: Right
    repos: tuple[RepoRef, ...] = ()
    buckets: tuple[BucketRef, ...] = ()
    sources: tuple[HubRef, ...] = ()
    revision: str | None = None
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
            return replace(self, sources=_items_of(document))
        reaches = self.reaches or bool(document.get("volumes"))
        named = _named_in_body(self, document)
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
# What follows `/api/{types}/{id}/` (contract 2 to 7): needed to tell `gpt2/tree/main` from `acme/tree`.
_API_VERBS_WITH_MORE = frozenset(
    {"revision", "tree", "treesize", "paths-info", "commits", "commit", "branch", "tag", "super-squash", "compare"}
    | {"preupload", "xet-read-token", "xet-write-token", "notebook", "parquet", "safetensors-metadata"}
    | {"user-access-request", "logs"}
)
_API_VERBS = _API_VERBS_WITH_MORE | frozenset(
    {"refs", "settings", "duplicate", "resource-group", "auth-check", "lfs-files", "scan", "jwt", "discussions"}
    | {"likers", "like", "leaderboard", "secrets", "variables", "runtime", "hardware", "sleeptime", "pause"}
    | {"restart", "storage", "dev-mode", "volumes", "events", "metrics"}
)
_SPACE_SERVICES = frozenset({"hardware", "templates", "semantic-search", "zero-gpu"})
# The Hub's own pages, where an owner would stand.
_PAGES = frozenset(
    {"settings", "docs", "organizations", "collections", "papers", "blog", "tasks", "learn", "new", "join"}
)
_WEB_VERBS = frozenset({"resolve", "raw", "blob", "tree", "commit", "commits", "discussions", "info", "ask-access"}) | {
    "git-upload-pack",
    "git-receive-pack",
}
_KIND_OF_API_VERB = {
    "revision": Kind.INFO,
    "tree": Kind.TREE,
    "paths-info": Kind.PATHS_INFO,
    "preupload": Kind.PREUPLOAD,
    "commit": Kind.COMMIT,
    "duplicate": Kind.DUPLICATE,
    "discussions": Kind.DISCUSSIONS,
    "xet-read-token": Kind.XET_READ_TOKEN,
    "xet-write-token": Kind.XET_WRITE_TOKEN,
}
_IN_COLLECTIONS = frozenset({*(repo_type.value for repo_type in RepoType), "bucket"})
_KIND_OF_REPOS_CALL = {"create": Kind.CREATE, "delete": Kind.DELETE, "move": Kind.MOVE}
# Reads that are a POST, since what they ask does not fit an address.
_READING_POSTS = frozenset({Kind.PATHS_INFO, Kind.GIT_FETCH, Kind.OAUTH})
# Segments that make any path the account's own business (contract 1.1, 3.5, 7; the Hub's OpenAPI).
_ACCOUNT_SEGMENTS = frozenset({"jwt", "billing", "audit-log", "scim", "service-accounts", "user-access-request"})
_ACCOUNT_ROOTS = frozenset({"settings", "credentials", "registry", "notifications", "sql-console"})


# What every session of a client asks, and what says the same to everybody.
_SHARED = frozenset(
    {
        ("api", "whoami-v2"),
        ("api", "agent-harnesses"),
        ("api", "validate-yaml"),
        ("api", "telemetry"),
        ("api", "tasks"),
        ("api", "models-tags-by-type"),
        ("api", "datasets-tags-by-type"),
        ("oauth", "device"),
        ("oauth", "token"),
        (".well-known", "openid-configuration"),
    }
)
# What `huggingface_hub` asks without a token even where it has one: about its user's harness, its user's card, and for
# the token itself (2.4.0 `_fetch_registry`, `RepoCard.validate`, `request_device_code`, `refresh_access_token`).
_BARE = frozenset(
    {
        ("GET", "api", "agent-harnesses"),
        ("POST", "api", "validate-yaml"),
        ("POST", "oauth", "device"),
        ("POST", "oauth", "token"),
        ("GET", ".well-known", "openid-configuration"),
    }
)


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
    shared = not route.repos and tuple(every_part[:2]) in _SHARED
    reaches = route.reaches and method not in SAFE_METHODS | {"DELETE"}
    bare = shared and ((method, *every_part) in _BARE or (method == "HEAD" and every_part[1] == "telemetry"))
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
        case ["api", "spaces", service, *_] if service in _SPACE_SERVICES:
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
    kind = _KIND_OF_API_VERB.get(asked[0], Kind.OTHER) if asked else Kind.INFO
    if asked == ["lfs-files", "duplicate"]:
        kind = Kind.DUPLICATE_LFS
    return replace(_repo_route(kind, repo_type, repo_id, more[0] if more else None), reaches=asked == ["volumes"])


def _api_id_length(rest: Sequence[str]) -> int:
    """How many segments the id has: two, or one where a verb can only be read as such."""
    # A server may ignore the case of what it is asked to do; but `acme/Metrics` alone is a name before it is a call.
    verbs = [segment if len(rest) == 2 else segment.lower() for segment in rest[1:3]]
    if len(rest) < 2 or verbs[0] not in _API_VERBS:
        return min(len(rest), 2)
    if len(rest) == 2:
        return 2 if rest[1] in _API_VERBS_WITH_MORE else 1
    return 2 if verbs[1] in _API_VERBS else 1


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
    if len(rest) == 2 and rest[0] not in _PAGES:
        return _repo_route(Kind.OTHER, repo_type, "/".join(rest), None)
    return _route(Kind.OTHER)


def _web_verb(repo_type: RepoType, repo_id: str, rest: Sequence[str], query: dict[str, str]) -> Route:
    verb = rest[0]
    if verb in {"info", "git-upload-pack", "git-receive-pack"}:
        return _git_route(repo_type, repo_id, rest, query)
    kind = {"resolve": Kind.RESOLVE, "raw": Kind.RAW}.get(verb, Kind.OTHER)
    return _repo_route(kind, repo_type, repo_id, rest[1] if len(rest) > 1 else None)


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
    route = _repo_route(kind, repo_type, repo_id, None)
    pushes = kind is Kind.GIT_REFS and query.get("service") != "git-upload-pack"
    return replace(route, right=Right.WRITE) if pushes else route


def _route(kind: Kind) -> Route:
    return Route(kind, Right.READ)


def _repo_route(kind: Kind, repo_type: RepoType, repo_id: str, revision: str | None) -> Route:
    try:
        return Route(kind, Right.READ, (RepoRef.parse(repo_type, repo_id),), revision=revision)
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


def body_lines(body: bytes) -> list[bytes]:
    """The lines of a body of many (NDJSON), wherever somebody might end one."""
    return [line for line in body.splitlines() if line.strip()]


def sources_in_line(line: bytes) -> list[HubRef | None]:
    """What one operation of a bucket's batch reads from (contract 6); None for what is not said readably."""
    operation = read_object(line)
    told = {name.lower() for name in operation}
    if operation.get("type") in {"addFile", "deleteFile"} and not any(name.startswith("source") for name in told):
        return []
    source_type, source_id = operation.get("sourceRepoType"), operation.get("sourceRepoId")
    if operation.get("type") != "copyFile" or not isinstance(source_type, str) or not isinstance(source_id, str):
        return [None]
    try:
        return [_parsed(source_type, source_id)]
    except BadReference:
        return [None]


def _items_of(document: dict[str, Any]) -> tuple[HubRef, ...]:
    """The repository that is put into a collection; what else may be in one is nobody's. Raises BadReference."""
    item = document.get("item")
    kind = item.get("type") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(kind, str) or kind not in _IN_COLLECTIONS:
        return ()
    return (_parsed(kind, str(item.get("id"))),)


def _parsed(kind: str, repo_id: str) -> HubRef:
    return BucketRef.parse(repo_id) if kind in {"bucket", "buckets"} else RepoRef.parse(RepoType.parse(kind), repo_id)


def _named_in_body(route: Route, document: dict[str, Any]) -> tuple[HubRef, ...]:
    """The repositories that such a body names (contract 2.1 to 2.5, 3.5). Raises BadReference.

    A creation without an owner is in the token's own namespace: its reference has none.
    """
    kind = route.kind
    if kind is Kind.DUPLICATE_LFS:
        target = document.get("target")
        document = target if isinstance(target, dict) else {}
    repo_type = document.get("type") or (route.repo.repo_type.value if route.repo is not None else "model")
    if not isinstance(repo_type, str):
        raise BadReference("'type' must be a string")
    if kind is Kind.DUPLICATE and route.repo is not None:
        # A copy is of its original's type: a Hub that asks for none does not look at one that is given.
        repo_type = route.repo.repo_type.value
    if kind is Kind.MOVE:
        names = [document.get("fromRepo"), document.get("toRepo")]
    elif kind is Kind.DUPLICATE:
        names = [document.get("repository")]
    elif kind is Kind.DUPLICATE_LFS:
        names = [document.get("name")]
    else:
        owner, name = document.get("organization"), document.get("name")
        names = [f"{owner}/{name}" if owner and isinstance(name, str) and "/" not in name else name]
    if not all(isinstance(name, str) for name in names):
        raise BadReference("the body names no repository")
    return tuple(_parsed(repo_type, str(name)) for name in names)
