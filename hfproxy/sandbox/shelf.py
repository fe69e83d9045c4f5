"""A listing of repositories: which ones, in what order.

Source: contract section 3.1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hfproxy.upstream.refs import RepoType

from .call import Call
from .describe import Description
from .refusals import BadRequest
from .repository import Repository

_SORTS: dict[str, Callable[[Repository], Any]] = {
    "trendingScore": lambda repo: repo.record.trending_score,
    "lastModified": lambda repo: repo.record.updated_at,
    "createdAt": lambda repo: repo.record.created_at,
    "downloads": lambda repo: repo.record.downloads,
    "likes": lambda repo: repo.like_count,
}
# What older clients and people write.
_ALIASES = {"last_modified": "lastModified", "created_at": "createdAt", "trending_score": "trendingScore"}
_UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a listing asks for; texts are compared without regard to case."""

    search: tuple[str, ...]
    authors: tuple[str, ...]
    tags: tuple[str, ...]
    pipeline_tag: str | None
    gated: bool | None
    parameters: tuple[int | None, int | None]
    linked: tuple[tuple[str, str], ...]
    """Of Spaces: what they must use, as (`models` or `datasets`, id)."""
    never: bool
    """Something that no sandbox has was asked for, such as a running inference provider."""

    @classmethod
    def by(cls, call: Call) -> "Wanted":
        """As a query says. Raises BadRequest."""
        gated = call.value("gated")
        tags = [tag for value in [*call.values("filter"), *call.values("other")] for tag in value.split(",") if tag]
        return cls(
            search=tuple(text.casefold() for text in [*call.values("search"), *call.values("q")] if text),
            authors=tuple(author.casefold() for author in call.values("author")),
            tags=(*tags, *(library for library in call.values("library") if library)),
            pipeline_tag=call.value("pipeline_tag"),
            gated=None if gated is None else call.flag("gated"),
            parameters=_parameters(call.value("num_parameters")),
            linked=tuple((kind, name) for kind in ("models", "datasets") for name in call.values(kind)),
            never=bool(call.value("inference") == "warm" or call.value("inference_provider") or call.value("apps")),
        )

    def has(self, described: Description, repo: Repository) -> bool:
        """Whether a repository is among them; what is cheap to know is asked first."""
        name = repo.repo_id.casefold()
        if self.never or any(text not in name for text in self.search):
            return False
        if self.authors and repo.owner.casefold() not in self.authors:
            return False
        if self.gated is not None and bool(repo.record.gated) is not self.gated:
            return False
        if self.pipeline_tag and described.value("pipeline_tag") != self.pipeline_tag:
            return False
        if self.tags and not set(self.tags) <= set(described.value("tags")):
            return False
        if any(name not in (described.value(kind) or ()) for kind, name in self.linked):
            return False
        return self._has_parameters(described)

    def _has_parameters(self, described: Description) -> bool:
        least, most = self.parameters
        if least is None and most is None:
            return True
        total = (described.value("safetensors") or {}).get("total")
        return total is not None and (least or 0) <= total and (most is None or total <= most)


def found(call: Call, repo_type: RepoType) -> list[Repository]:
    """The repositories that a listing's query asks for and its caller may see, in order. Raises BadRequest."""
    wanted = Wanted.by(call)
    seen = [
        repo
        for repo in call.hub.repos.of_type(repo_type)
        if call.hub.rights.sees(call.caller, repo) and wanted.has(Description(call.hub, repo), repo)
    ]
    return in_order(seen, call.value("sort") or "trendingScore", ascending=call.value("direction") == "1")


def in_order(repos: list[Repository], sort: str, *, ascending: bool = False) -> list[Repository]:
    """Sorted, the newest first among equals. Raises BadRequest naming the orders there are."""
    key = _SORTS.get(_ALIASES.get(sort, sort))
    if key is None:
        raise BadRequest(f'"sort" must be one of [{", ".join(_SORTS)}]')
    newest_first = sorted(repos, key=lambda repo: (repo.record.created_at, repo.repo_id), reverse=True)
    return sorted(newest_first, key=key, reverse=not ascending)


def _parameters(text: str | None) -> tuple[int | None, int | None]:
    """`min:6B,max:128B`, either of them alone. Raises BadRequest."""
    bounds: dict[str, int] = {}
    for part in (text or "").split(","):
        if part:
            name, _, number = part.partition(":")
            try:
                unit = _UNITS.get(number[-1:].upper(), 1)
                bounds[name] = int(float(number[:-1] if unit > 1 else number) * unit)
            except ValueError:
                raise BadRequest('"num_parameters" must be of the form "min:6B,max:128B"') from None
    return bounds.get("min"), bounds.get("max")
