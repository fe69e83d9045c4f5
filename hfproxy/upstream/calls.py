"""The Hub's calls that we know, a row each: what they are, what they tell and what they change.

Rights, rules and the audit trail all judge by these rows. What has none is taken for what could do most: it may tell of
any file, and change any (`UNKNOWN`). Sections are those of the contract.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


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


class Changes(Enum):
    """What of a repository a call changes where it does not read."""

    CONTENT = auto()
    REFS = auto()
    KEEPING = auto()
    """How it is kept: its settings, who may see it, what its Space runs on."""
    TALK = auto()


@dataclass(frozen=True, slots=True)
class Verb:
    """What follows a repository's name in a path.

    tells_content: whether its answer to a GET may hold what stands in files. has_more: more segments follow it, which
    tells `gpt2/tree/main` from `acme/tree`. in_api: it stands below `/api/` too.
    """

    kind: Kind = Kind.OTHER
    changes: Changes = Changes.CONTENT
    tells_content: bool = True
    has_more: bool = False
    in_api: bool = True


UNKNOWN: Final = Verb()

VERBS: Final[Mapping[str, Verb]] = {
    # Contract 3: what is told of a repository.
    "revision": Verb(Kind.INFO, has_more=True),
    "tree": Verb(Kind.TREE, tells_content=False, has_more=True),
    "treesize": Verb(tells_content=False, has_more=True),
    "paths-info": Verb(Kind.PATHS_INFO, has_more=True),
    "refs": Verb(tells_content=False),
    "commits": Verb(tells_content=False, has_more=True),
    "compare": Verb(has_more=True),
    "notebook": Verb(has_more=True),
    "parquet": Verb(has_more=True),
    "safetensors-metadata": Verb(has_more=True),
    "lfs-files": Verb(tells_content=False),
    "likers": Verb(tells_content=False),
    "leaderboard": Verb(tells_content=False),
    # 2: how it is kept.
    "settings": Verb(changes=Changes.KEEPING, tells_content=False),
    "duplicate": Verb(Kind.DUPLICATE),
    "resource-group": Verb(changes=Changes.KEEPING, tells_content=False),
    "auth-check": Verb(tells_content=False),
    "ask-access": Verb(changes=Changes.KEEPING, tells_content=False, in_api=False),
    "user-access-request": Verb(changes=Changes.KEEPING, tells_content=False, has_more=True),
    "like": Verb(changes=Changes.KEEPING, tells_content=False),
    "scan": Verb(changes=Changes.KEEPING, tells_content=False),
    "jwt": Verb(changes=Changes.KEEPING, tells_content=False),
    # 6: what is brought.
    "preupload": Verb(Kind.PREUPLOAD, has_more=True),
    "commit": Verb(Kind.COMMIT, has_more=True),
    "branch": Verb(changes=Changes.REFS, tells_content=False, has_more=True),
    "tag": Verb(changes=Changes.REFS, tells_content=False, has_more=True),
    "super-squash": Verb(changes=Changes.REFS, has_more=True),
    # 5: Xet.
    "xet-read-token": Verb(Kind.XET_READ_TOKEN, has_more=True),
    "xet-write-token": Verb(Kind.XET_WRITE_TOKEN, has_more=True),
    # 7: discussions, and Spaces that run.
    "discussions": Verb(Kind.DISCUSSIONS, changes=Changes.TALK, tells_content=False),
    "logs": Verb(tells_content=False, has_more=True),
    "events": Verb(tells_content=False),
    "metrics": Verb(tells_content=False),
    "runtime": Verb(changes=Changes.KEEPING, tells_content=False),
    "hardware": Verb(changes=Changes.KEEPING, tells_content=False),
    "storage": Verb(changes=Changes.KEEPING, tells_content=False),
    "volumes": Verb(changes=Changes.KEEPING, tells_content=False),
    "secrets": Verb(changes=Changes.KEEPING, tells_content=False),
    "variables": Verb(changes=Changes.KEEPING, tells_content=False),
    "sleeptime": Verb(changes=Changes.KEEPING),
    "pause": Verb(changes=Changes.KEEPING),
    "restart": Verb(changes=Changes.KEEPING),
    "dev-mode": Verb(changes=Changes.KEEPING),
}


@dataclass(frozen=True, slots=True)
class Service:
    """A path that names no repository, by its first two segments; none of them tells what stands in files.

    shared: every session of a client asks it, and it says the same to everybody. bare: the methods by which clients ask
    it without their token, whoever they are; bare_below: also with more segments. account: it shows or changes the
    account itself.
    """

    shared: bool = False
    bare: frozenset[str] = frozenset()
    bare_below: bool = False
    account: bool = False


_GET, _HEAD, _POST = frozenset({"GET"}), frozenset({"HEAD"}), frozenset({"POST"})

SERVICES: Final[Mapping[tuple[str, ...], Service]] = {
    # Asked without a token even where `huggingface_hub` has one: about its user's harness, its user's card, and for the
    # token itself (2.4.0 `_fetch_registry`, `RepoCard.validate`, `request_device_code`, `refresh_access_token`).
    ("api", "agent-harnesses"): Service(shared=True, bare=_GET),
    ("api", "validate-yaml"): Service(shared=True, bare=_POST),
    ("api", "telemetry"): Service(shared=True, bare=_HEAD, bare_below=True),
    ("oauth", "device"): Service(shared=True, bare=_POST),
    ("oauth", "token"): Service(shared=True, bare=_POST),
    (".well-known", "openid-configuration"): Service(shared=True, bare=_GET),
    ("api", "whoami-v2"): Service(shared=True),
    ("api", "tasks"): Service(shared=True),
    ("api", "models-tags-by-type"): Service(shared=True),
    ("api", "datasets-tags-by-type"): Service(shared=True),
    # Contract 1.1, 3.5, 7; the Hub's OpenAPI.
    ("api", "settings"): Service(account=True),
    ("api", "credentials"): Service(account=True),
    ("api", "registry"): Service(account=True),
    ("api", "notifications"): Service(account=True),
    ("api", "sql-console"): Service(account=True),
    ("api", "whoami"): Service(),
    ("api", "organizations"): Service(),
    ("api", "users"): Service(),
    ("api", "collections"): Service(),
    ("api", "papers"): Service(),
    ("api", "daily_papers"): Service(),
    ("api", "posts"): Service(),
    ("api", "trending"): Service(),
    ("api", "quicksearch"): Service(),
    ("api", "jobs"): Service(),
    ("api", "scheduled-jobs"): Service(),
    ("api", "recent-activity"): Service(),
}
#: Below `/api/spaces/`, where an owner would stand.
SPACE_SERVICES: Final = frozenset({"hardware", "templates", "semantic-search", "zero-gpu"})

#: The Hub's own pages, where an owner would stand.
PAGES: Final = frozenset(
    {"settings", "docs", "organizations", "collections", "papers", "blog", "tasks", "learn", "new", "join"}
)
#: Pages and services that stand alone, and are nobody's repository either.
MORE_PAGES: Final = frozenset(
    {"front", "login", "oauth", "pricing", "favicon.ico", "robots.txt", ".well-known", "avatars", "static", "search"}
)
