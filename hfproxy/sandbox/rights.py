"""Who may do what, and what the others are told, in the Hub's order: visible, then gate, then permission.

Sources: contract sections 1.2 (fine-grained tokens) and 1.4 (answers).
"""

from typing import Literal, Protocol, TypeVar

from .accounts import Account, Accounts
from .callers import Caller
from .refusals import Forbidden, GateClosed, NotLoggedIn, RepoMissing
from .repository import Repository

HUB = "https://huggingface.co"
Permission = Literal["repo.content.read", "repo.access.read", "repo.write", "discussion.write", "collection.write"]
MISSING_PERMISSION = "You have read access but not the required permissions for this operation"
_WRITERS = ("admin", "write")
_MEMBERS = ("admin", "write", "contributor", "read")


class Owned(Protocol):
    """What somebody owns and others may be shown: a repository or a bucket."""

    @property
    def kind(self) -> str:
        """`model`, `bucket` and so on, as fine-grained tokens name them."""

    @property
    def owner(self) -> str:
        """The account it belongs to."""

    @property
    def repo_id(self) -> str:
        """`owner/name`."""

    @property
    def is_private(self) -> bool:
        """Whether only members may know of it."""

    @property
    def is_disabled(self) -> bool:
        """Whether the Hub has closed it."""


Seen = TypeVar("Seen", bound=Owned)


class Rights:
    """The rules of one Hub, over its accounts."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def sees(self, caller: Caller, repo: Owned) -> bool:
        """Whether a caller may know that a repository exists. A protected Space shows itself, not its files."""
        return not repo.is_private or (
            self._is_member(caller, repo) and self._token_allows(caller, "repo.content.read", repo)
        )

    def check_visible(self, caller: Caller, repo: Seen | None) -> Seen:
        """The repository, if the caller may know of it. Raises NotLoggedIn or RepoMissing, which tell nothing."""
        if repo is not None and self.sees(caller, repo):
            if repo.is_disabled:
                raise Forbidden("Access to this resource is disabled.")
            return repo
        if caller.account is None:
            raise NotLoggedIn
        raise RepoMissing

    def passes_gate(self, caller: Caller, repo: Repository) -> bool:
        """Whether a caller may read the files of a repository they can see."""
        if repo.record.visibility == "protected" and not self._is_member(caller, repo):
            return False
        if not repo.record.gated:
            return True
        if self._is_member(caller, repo):
            return self._token_allows(caller, "repo.content.read", repo)
        granted = caller.name is not None and repo.access_of(caller.name) == "accepted"
        return granted and (caller.token is None or caller.token.role != "fineGrained" or caller.token.reads_gated)

    def check_gate(self, caller: Caller, repo: Repository) -> None:
        """Pass whoever may read the files. Raises GateClosed with the Hub's words for the others."""
        if self.passes_gate(caller, repo):
            return
        what = f"{repo.repo_type.value} {repo.repo_id}"
        if caller.account is None:
            raise GateClosed(
                f"Access to {what} is restricted. You must have access to it and be authenticated to access it. "
                "Please log in.",
                status=401,
            )
        access = repo.access_of(caller.name)
        if access == "accepted":
            raise GateClosed(
                "Please enable access to public gated repositories in your fine-grained token settings "
                "to view this repository."
            )
        if access == "pending":
            raise GateClosed(f"Your request to access {what} is awaiting a review from the repo authors.")
        if access == "rejected":
            raise GateClosed(f"Your request to access {what} has been rejected by the repo's authors.")
        raise GateClosed(
            f"Access to {what} is restricted and you are not in the authorized list. "
            f"Visit {HUB}/{repo.ref} to ask for access."
        )

    def may_write(self, caller: Caller, repo: Owned) -> bool:
        owner = self._accounts.named(repo.owner)
        return caller.role_in(owner) in _WRITERS and self._token_allows(caller, "repo.write", repo)

    def check_write(self, caller: Caller, repo: Owned) -> None:
        """Pass whoever may change a repository they can see. Raises NotLoggedIn or Forbidden."""
        if caller.account is None:
            raise NotLoggedIn
        if not self.may_write(caller, repo):
            raise Forbidden(MISSING_PERMISSION)

    def check_logged_in(self, caller: Caller) -> Account:
        """The caller's account. Raises NotLoggedIn."""
        if caller.account is None:
            raise NotLoggedIn
        return caller.account

    def check_namespace(self, caller: Caller, namespace: str, what: str) -> Account:
        """The account of that name, if the caller may create there. Raises NotLoggedIn or Forbidden."""
        self.check_logged_in(caller)
        owner = self._accounts.named(namespace)
        if owner is None or caller.role_in(owner) not in (*_WRITERS, "contributor"):
            raise Forbidden(f'You don\'t have the rights to create a {what} under the namespace "{namespace}"')
        if not self._token_reaches(caller, "repo.write", owner.name, None):
            raise Forbidden(f'You don\'t have the rights to create a {what} under the namespace "{namespace}"')
        return owner

    def check_acts(self, caller: Caller, permission: Permission) -> Account:
        """The caller's account, if the token may act for it at all: liking, collecting, discussing."""
        account = self.check_logged_in(caller)
        token = caller.token
        if token is None or token.role == "read":
            raise Forbidden(MISSING_PERMISSION)
        if token.role == "fineGrained" and permission not in token.may_everywhere:
            raise Forbidden(MISSING_PERMISSION)
        return account

    def _is_member(self, caller: Caller, repo: Owned) -> bool:
        return caller.role_in(self._accounts.named(repo.owner)) in _MEMBERS

    def _token_allows(self, caller: Caller, permission: Permission, repo: Owned) -> bool:
        return self._token_reaches(caller, permission, repo.owner, repo)

    def _token_reaches(self, caller: Caller, permission: Permission, owner: str, repo: Owned | None) -> bool:
        token = caller.token
        if token is None or token.role == "read":
            return permission.endswith(".read")
        if token.role != "fineGrained":
            return True
        names = {owner.casefold()} if repo is None else {owner.casefold(), repo.repo_id.casefold()}
        return any(
            permission in scope.permissions and scope.entity.casefold() in names
            for scope in token.scopes
            if scope.entity_type in {"user", "org"} or (repo is not None and scope.entity_type == repo.kind)
        )
