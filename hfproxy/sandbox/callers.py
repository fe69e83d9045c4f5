"""Who asks: the account and token behind a request's credentials."""

import base64
import binascii
from dataclasses import dataclass

from .accounts import Account, Accounts, OrgRole, Token
from .refusals import BAD_TOKEN, NotLoggedIn


@dataclass(frozen=True, slots=True)
class Caller:
    """An account acting through one of its tokens, or nobody."""

    account: Account | None = None
    token: Token | None = None

    @property
    def name(self) -> str | None:
        return self.account.name if self.account else None

    def role_in(self, owner: Account | None) -> OrgRole | None:
        """What this caller is to the owner of something: admin of their own, a role as a member, or None."""
        if self.account is None or owner is None:
            return None
        if owner.name == self.account.name:
            return "admin"
        return owner.members.get(self.account.name)


NOBODY = Caller()


def identify(authorization: str | None, accounts: Accounts) -> Caller:
    """The caller behind an `Authorization` header. Raises NotLoggedIn for one that names no valid token.

    Takes `Bearer <token>`, and git's Basic, whose password is the token.
    """
    if not authorization:
        return NOBODY
    found = accounts.by_secret(_secret(authorization))
    if found is None:
        raise NotLoggedIn(BAD_TOKEN)
    return Caller(*found)


def _secret(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.casefold() != "basic":
        return credentials.strip()
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
