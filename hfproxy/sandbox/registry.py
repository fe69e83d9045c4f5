"""Every repository of a Hub by its name: any spelling of its case, and the names it had before."""

from collections.abc import Iterator

from hfproxy.upstream.refs import RepoType

from .repository import Repository


class Registry:
    """Finds repositories. A name in use wins over one that somebody gave up."""

    def __init__(self) -> None:
        self._repos: dict[tuple[RepoType, str], Repository] = {}
        self._former: dict[tuple[RepoType, str], Repository] = {}

    def find(self, repo_type: RepoType, repo_id: str) -> Repository | None:
        return self._repos.get((repo_type, repo_id.casefold()))

    def renamed(self, repo_type: RepoType, repo_id: str) -> Repository | None:
        """The repository that had this name before, unless the name is in use again."""
        key = (repo_type, repo_id.casefold())
        return None if key in self._repos else self._former.get(key)

    def knows(self, repo_type: RepoType, repo_id: str) -> bool:
        key = (repo_type, repo_id.casefold())
        return key in self._repos or key in self._former

    def add(self, repo: Repository) -> None:
        self._repos[repo.repo_type, repo.repo_id.casefold()] = repo
        for old_id in repo.record.old_ids:
            self._former[repo.repo_type, old_id.casefold()] = repo

    def remove(self, repo: Repository) -> None:
        self._repos = {key: other for key, other in self._repos.items() if other is not repo}
        self._former = {key: other for key, other in self._former.items() if other is not repo}

    def __iter__(self) -> Iterator[Repository]:
        return iter(list(self._repos.values()))

    def of_type(self, repo_type: RepoType) -> list[Repository]:
        return [repo for repo in self._repos.values() if repo.repo_type == repo_type]
