"""What clients ask about a repository before they fetch its files: kept, so that they can do it offline."""

from collections.abc import Iterable
from urllib.parse import quote

from hfproxy.features.metadata.asking import BASE
from hfproxy.upstream.links import parse_links
from hfproxy.upstream.refs import RepoRef

DEFAULT_REVISION = "main"
# Booleans in a query, as `huggingface_hub` of 1 and later and of 0.x writes them (contract section 8).
_TREES = ("recursive=true&expand=false", "recursive=True&expand=False")


def info_questions(repo: RepoRef, revisions: tuple[str, ...]) -> list[str]:
    """The undecoded targets of repository info (contract 3.2, 4.5)."""
    named = [f"{repo.api_path}/revision/{quote(revision, safe='')}" for revision in dict.fromkeys(revisions)]
    return [*named, repo.api_path] if DEFAULT_REVISION in revisions else named


def tree_questions(repo: RepoRef, revisions: tuple[str, ...]) -> list[str]:
    """The undecoded targets of the first pages of whole trees (contract 3.3, 4.5)."""
    return [
        f"{repo.api_path}/tree/{quote(revision, safe='')}?{query}"
        for revision in dict.fromkeys(revisions)
        for query in _TREES
    ]


def next_page(headers: Iterable[tuple[str, str]]) -> str | None:
    """The target of the next page, if an answer's headers name one."""
    for name, value in headers:
        if name.casefold() == "link":
            for link in parse_links(value) or []:
                if "next" in link.relations and link.address.startswith(BASE):
                    return link.address.removeprefix(BASE)
    return None
