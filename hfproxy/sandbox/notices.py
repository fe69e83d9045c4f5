"""What a webhook is told: the JSON about a repository, a discussion and a comment.

Sources: contract section 7, "Webhooks coming in"; `huggingface_hub` `_webhooks_payload.py`.
"""

from collections.abc import Mapping
from typing import Any

from .accounts import Accounts
from .discussed import Comment, Discussion
from .repository import Repository

VERSION = 3


class Notices:
    """Writes notices in the names of one Hub's accounts; addresses begin with `base_url`."""

    def __init__(self, accounts: Accounts, base_url: str) -> None:
        self._accounts = accounts
        self._base_url = base_url

    def event(self, repo: Repository, action: str, scope: str) -> dict[str, Any]:
        """What every notice says."""
        return {"event": {"action": action, "scope": scope}, "repo": self._repo(repo)}

    def moved_to(self, repo: Repository) -> dict[str, Any]:
        return {"movedTo": {"name": repo.repo_id, "owner": self._person(repo.owner)}}

    def discussion(self, repo: Repository, discussion: Discussion, comment: Comment | None = None) -> dict[str, Any]:
        """A discussion, and the comment that it is about where there is one."""
        web = f"{self._base_url}/{repo.ref}/discussions/{discussion.num}"
        told: dict[str, Any] = {
            "id": discussion.oid,
            "title": discussion.title,
            "url": {"web": web, "api": f"{self._api(repo)}/discussions/{discussion.num}"},
            "status": discussion.status,
            "author": self._person(discussion.author),
            "num": discussion.num,
            "isPullRequest": discussion.is_pull_request,
            "pinned": discussion.pinned,
        }
        if discussion.is_pull_request:
            merged = {"mergeCommitId": discussion.merge_commit} if discussion.merge_commit else {}
            told["changes"] = {"base": discussion.base, **merged}
        if comment is None:
            return {"discussion": told}
        said: dict[str, Any] = {
            "id": comment.oid,
            "author": self._person(comment.author),
            "hidden": comment.hidden,
            "url": {"web": f"{web}#{comment.oid}"},
        }
        return {"discussion": told, "comment": said | ({} if comment.hidden else {"content": comment.texts[-1].raw})}

    def _repo(self, repo: Repository) -> dict[str, Any]:
        told: dict[str, Any] = {
            "type": repo.repo_type.value,
            "name": repo.repo_id,
            "id": repo.record.oid,
            "private": repo.is_private,
            "url": {"web": f"{self._base_url}/{repo.ref}", "api": self._api(repo)},
            "owner": self._person(repo.owner),
        }
        return told | ({"headSha": repo.head} if repo.head else {})

    def _api(self, repo: Repository) -> str:
        return f"{self._base_url}/api/{repo.repo_type.api_segment}/{repo.repo_id}"

    def _person(self, name: str) -> dict[str, str]:
        account = self._accounts.named(name)
        return {"id": account.account_id if account else "0" * 24}


def updated_refs(before: Mapping[str, str], after: Mapping[str, str]) -> list[dict[str, str | None]]:
    """The refs that changed between two looks at them."""
    return [
        {"ref": f"refs/{name}", "oldSha": before.get(name), "newSha": after.get(name)}
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
