"""What the demo plants, as plain values: repositories, their commits, and how they stand with their readers."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Literal, Self

from hfproxy.upstream.refs import RepoRef, RepoType

Gate = Literal[False, "auto", "manual"]

_CARDS = files("hfproxy.sandbox.seed") / "cards"


@dataclass(frozen=True, slots=True)
class PlannedCommit:
    """One commit: what it puts and removes, on which branch, and the tag it gets, if any.

    A branch other than `main` begins where `main` stands when its first commit comes.
    """

    title: str
    put: Mapping[str, bytes]
    removed: Sequence[str] = ()
    branch: str = "main"
    tag: str | None = None


Build = Callable[[], Sequence[PlannedCommit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRepo:
    """One repository of the demo. Its card is the file of the same name under `cards/`; `build` makes the rest."""

    ref: RepoRef
    created_at: datetime
    build: Build
    author: str
    downloads: int = 0
    likes: int = 0
    trending_score: int = 0
    private: bool = False
    gated: Gate = False
    granted: tuple[str, ...] = ()
    pause: timedelta = field(default=timedelta(hours=31))

    @classmethod
    def of(
        cls,
        where: str,
        created: str,
        build: Build,
        *,
        author: str | None = None,
        downloads: int = 0,
        likes: int = 0,
        trending: int = 0,
        private: bool = False,
        gated: Gate = False,
        granted: tuple[str, ...] = (),
    ) -> Self:
        """From `models/acme/demo` and an ISO date; the author is the owner unless somebody else is named."""
        kind, _, repo_id = where.partition("/")
        ref = RepoRef.parse(RepoType.parse(kind), repo_id)
        assert ref.namespace is not None
        return cls(
            ref=ref,
            created_at=datetime.fromisoformat(created).replace(hour=9, minute=len(repo_id), tzinfo=UTC),
            build=build,
            author=author or ref.namespace,
            downloads=downloads,
            likes=likes,
            trending_score=trending,
            private=private,
            gated=gated,
            granted=granted,
        )

    @property
    def card(self) -> bytes:
        kind, owner = self.ref.repo_type.api_segment, self.ref.namespace or ""
        return (_CARDS / kind / owner / f"{self.ref.name}.md").read_bytes()

    @property
    def sdk(self) -> str | None:
        """What a Space runs on, as its card says."""
        found = re.search(rb"^sdk: (\w+)$", self.card, re.MULTILINE) if self.ref.repo_type is RepoType.SPACE else None
        return found[1].decode() if found else None

    def commits(self) -> list[tuple[datetime, PlannedCommit]]:
        """Every commit after the first with its date, oldest first; the card comes with the second, as people do it."""
        first, *others = _built(self.build)
        card = PlannedCommit("Add the card", {"README.md": self.card}, tag=None)
        dated = enumerate([first, card, *others], start=1)
        return [(self.created_at + number * self.pause, commit) for number, commit in dated]


@cache
def _built(build: Build) -> tuple[PlannedCommit, ...]:
    """What a builder makes, made once in a process: tests plant many Hubs, and all of it is three megabytes."""
    return tuple(build())
