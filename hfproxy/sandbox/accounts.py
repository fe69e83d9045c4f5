"""Who there is on a sandbox Hub: a few fixed, documented accounts, and those of a file.

| who | what | tokens |
| --- | --- | --- |
| alice | user, admin of acme | `hf_sandbox_alice` (write), `…_read`, `…_fine` (fine-grained), `…_expired` |
| bob | user, reads in acme | `hf_sandbox_bob` (write) |
| acme | organisation | |
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

OrgRole = Literal["admin", "write", "contributor", "read", "no_access"]
TokenRole = Literal["read", "write", "fineGrained", "god"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scope(_Model):
    """What a fine-grained token may do with one entity: an account with all it owns, or one repository."""

    entity_type: Literal["user", "org", "model", "dataset", "space", "kernel"]
    entity: str
    permissions: tuple[str, ...]


class Token(_Model):
    """One access token of an account."""

    secret: str
    name: str = "default"
    role: TokenRole = "write"
    expired: bool = False
    scopes: tuple[Scope, ...] = ()
    reads_gated: bool = True
    may_everywhere: tuple[str, ...] = ("discussion.write",)
    oauth_scopes: tuple[str, ...] | None = None
    """Of a token that came by OAuth: what its app was allowed."""
    until_s: float | None = None
    """When it ends, in seconds since 1970."""

    @property
    def is_over(self) -> bool:
        return self.expired or (self.until_s is not None and self.until_s <= time.time())


class Account(_Model):
    """A user or an organisation. Names are unique over both, whatever their case."""

    name: str
    kind: Literal["user", "org"] = "user"
    fullname: str = ""
    email: str | None = None
    is_pro: bool = False
    tokens: tuple[Token, ...] = ()
    members: dict[str, OrgRole] = Field(default_factory=dict)
    """Of an organisation: user name to role."""
    private_by_default: bool = False
    """Of an enterprise organisation: what a repository is whose creator says nothing."""
    plan: str | None = None

    @property
    def account_id(self) -> str:
        """24 hex digits, the same in every sandbox."""
        return hashlib.sha256(f"account {self.name.casefold()}".encode()).hexdigest()[:24]

    @property
    def avatar_url(self) -> str:
        """Relative to the Hub, as its own may be."""
        return f"/avatars/{self.account_id}.svg"


class Accounts:
    """All accounts of one Hub, found by name or by token."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_name = {account.name.casefold(): account for account in accounts}
        self._by_secret = {
            token.secret: (account, token) for account in self._by_name.values() for token in account.tokens
        }

    @classmethod
    def standard(cls, further: Path | None = None) -> Self:
        """The fixed accounts, and those of the file, which win over fixed ones of the same name."""
        return cls([*FIXED, *(load_accounts(further) if further else ())])

    def add(self, account: Account) -> None:
        """Take in one more account, in place of one of the same name."""
        self._by_name[account.name.casefold()] = account
        self._by_secret |= {token.secret: (account, token) for token in account.tokens}

    def issue(self, account: Account, token: Token) -> None:
        """Let an account be known by one more token; those that are over are forgotten."""
        over = [secret for secret, (_, each) in self._by_secret.items() if each.until_s is not None and each.is_over]
        for secret in over:
            del self._by_secret[secret]
        self._by_secret[token.secret] = (account, token)

    def revoke(self, secrets: Iterable[str]) -> None:
        """End the tokens among these strings; fixed ones and those of a file are back when the process starts anew."""
        for secret in secrets:
            self._by_secret.pop(secret, None)

    def named(self, name: str) -> Account | None:
        return self._by_name.get(name.casefold())

    def by_secret(self, secret: str) -> tuple[Account, Token] | None:
        """The account and token of a secret; None for unknown and expired ones."""
        found = self._by_secret.get(secret)
        return None if found is None or found[1].is_over else found

    def organisations_of(self, user: Account) -> Iterator[tuple[Account, OrgRole]]:
        for account in self:
            if account.kind == "org" and (role := account.members.get(user.name)):
                yield account, role

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_name.values())


class _AccountsFile(_Model):
    accounts: tuple[Account, ...]


def load_accounts(path: Path) -> tuple[Account, ...]:
    """The accounts of a JSON file `{"accounts": [{"name", "tokens": [{"secret", …}], …}]}`.

    Raises pydantic.ValidationError naming each wrong field, and OSError.
    """
    return _AccountsFile.model_validate_json(path.read_bytes()).accounts


_ALICE_FINE = Token(
    secret="hf_sandbox_alice_fine",
    name="fine-grained",
    role="fineGrained",
    scopes=(
        Scope(entity_type="user", entity="alice", permissions=("repo.content.read", "repo.write")),
        Scope(entity_type="org", entity="acme", permissions=("repo.content.read",)),
    ),
)

FIXED = (
    Account(
        name="alice",
        fullname="Alice A.",
        email="alice@example.org",
        tokens=(
            Token(secret="hf_sandbox_alice", name="laptop"),
            Token(secret="hf_sandbox_alice_read", name="reader", role="read"),
            _ALICE_FINE,
            Token(secret="hf_sandbox_alice_expired", name="old", expired=True),
        ),
    ),
    Account(
        name="bob",
        fullname="Bob B.",
        email="bob@example.org",
        tokens=(Token(secret="hf_sandbox_bob", name="laptop"),),
    ),
    Account(
        name="acme",
        kind="org",
        fullname="Acme Inc.",
        plan="team",
        members={"alice": "admin", "bob": "read"},
    ),
)
