"""Rules and limits as they stand in a file."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, model_validator

from hfproxy.features.access.patterns import BadPattern, check_pattern
from hfproxy.features.policy.globs import BadGlob, compiled


class Action(StrEnum):
    """What a call does.

    `read` is all that is told of one repository, its files first of all; `list` what is told of many, or of none.
    `write` changes files, `manage` all else of a repository, and what belongs to none; `discuss` opens, comments and
    closes discussions and pull requests.
    """

    READ = "read"
    LIST = "list"
    WRITE = "write"
    CREATE = "create"
    DELETE = "delete"
    MANAGE = "manage"
    DISCUSS = "discuss"


READING = frozenset({Action.READ, Action.LIST})


class Effect(StrEnum):
    """What a rule does with what it means."""

    ALLOW = "allow"
    DENY = "deny"
    READ_ONLY = "read-only"

    def permits(self, action: Action) -> bool:
        return self is Effect.ALLOW or (self is Effect.READ_ONLY and action in READING)


def _check_caller(text: str) -> str:
    """The one spelling of a pattern for callers: `*`, `anonymous`, `key:GLOB` or `hub-token:GLOB`."""
    kind, colon, glob = text.partition(":")
    if text in {"*", "anonymous"}:
        return text
    if text == "hub-token":
        return "hub-token:*"
    if not colon:
        kind, glob = "key", text
    if kind not in {"key", "hub-token"} or not re.fullmatch(r"[A-Za-z0-9 ._@+*?-]{1,100}", glob):
        raise ValueError(
            f"{text!r}: write the name of a key such as ci-*, or key:NAME, hub-token, hub-token:FINGERPRINT, anonymous"
        )
    return f"{kind}:{glob}"


def _check_repo(text: str) -> str:
    try:
        return check_pattern(text)
    except BadPattern as error:
        raise ValueError(str(error)) from None


def _check_glob(text: str) -> str:
    try:
        compiled(text.removeprefix("/"))
    except BadGlob as error:
        raise ValueError(str(error)) from None
    return text


_RATE = re.compile(r"(\d+)\s*/\s*(\d*)\s*(s|m|h|d)")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _read_rate(value: object) -> object:
    match = _RATE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if match is None or int(match[1]) < 1 or match[2] == "0":
        raise ValueError("must be a rate such as 10/s, 600/m or 3000/5m")
    return Rate(int(match[1]), float(int(match[2] or 1) * _UNITS_S[match[3]]))


_BANDWIDTH = re.compile(r"(.+)/\s*s", re.DOTALL)


def _read_bandwidth(value: object) -> object:
    match = _BANDWIDTH.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a size a second such as 20MiB/s")
    return match[1]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so much time."""

    count: int
    window_s: float


RoleName = Literal["none", "reader", "writer", "admin"]
TypeName = Literal["model", "dataset", "space", "kernel", "bucket"]
Callers = Annotated[tuple[Annotated[str, AfterValidator(_check_caller)], ...], Field(min_length=1)]
RepoPatterns = Annotated[tuple[Annotated[str, AfterValidator(_check_repo)], ...], Field(min_length=1)]
Globs = Annotated[tuple[Annotated[str, AfterValidator(_check_glob)], ...], Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Table):
    """One rule. It means a call if all that it says holds; what it does not say always holds."""

    name: Name
    effect: Effect
    reason: str | None = Field(None, min_length=1, max_length=400)
    callers: Callers | None = None
    roles: Annotated[tuple[RoleName, ...], Field(min_length=1)] | None = None
    actions: Annotated[tuple[Action, ...], Field(min_length=1)] | None = None
    types: Annotated[tuple[TypeName, ...], Field(min_length=1)] | None = None
    repos: RepoPatterns | None = None
    files: Globs | None = None
    licences: Globs | None = None
    larger_than: ByteSize | None = Field(None, ge=0)
    at_most: ByteSize | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _licences_are_read(self) -> "Rule":
        if self.licences is not None and self.actions is not None and set(self.actions) - {Action.READ}:
            raise ValueError("a rule on licences is about reading: leave 'actions' out, or write ['read']")
        return self

    @property
    def about_files(self) -> bool:
        """Whether it means some files of a repository and not others."""
        return self.files is not None or self.about_size

    @property
    def about_size(self) -> bool:
        return self.larger_than is not None or self.at_most is not None


class Limit(_Table):
    """What one caller may take: requests in a time, bytes a second, transfers at once."""

    name: Name
    callers: Callers | None = None
    roles: Annotated[tuple[RoleName, ...], Field(min_length=1)] | None = None
    requests: Annotated[Rate, BeforeValidator(_read_rate)] | None = None
    bandwidth: Annotated[ByteSize, BeforeValidator(_read_bandwidth), Field(ge=1024)] | None = None
    transfers: int | None = Field(None, ge=1, le=10_000)


class PolicyText(_Table):
    """A whole file. default: what happens where no rule means a call."""

    default: Literal["allow", "deny"] = "allow"
    reason: str | None = Field(None, min_length=1, max_length=400)
    rule: tuple[Rule, ...] = ()
    limit: tuple[Limit, ...] = ()


@lru_cache(maxsize=64)
def default_rule(default: str, reason: str | None) -> Rule:
    """What stands for the end of the file in decisions: named so that nobody takes it for a rule of theirs."""
    return Rule(name="default", effect=Effect(default), reason=reason)
