"""Logins by OAuth: tokens that a person lets an app have, for a while, in place of an access token.

An app's id is whatever it says: a sandbox knows no apps and no secrets of theirs. Sources: RFC 6749 (codes,
refreshing), 7636 (PKCE), 8628 (devices); hub-docs `hub/oauth.md` (scopes, lifetimes); `huggingface_hub` 2.4.0
`utils/_oauth_device.py`.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, TypeAdapter

from .accounts import Account, Accounts, Token
from .refusals import Refusal

KEPT_AS = "oauth.json"
SCOPES: Final = (
    *("openid", "profile", "email", "read-billing", "read-repos", "contribute-repos", "write-repos", "manage-repos"),
    *("inference-api", "jobs", "webhooks", "write-discussions"),
)
DEVICE_CODES_LAST_S = 900
POLL_EVERY_S = 5
_CODES_LAST_S = 300
_WRITING: Final = frozenset({"contribute-repos", "write-repos", "manage-repos"})
# Letters that nobody takes for another one, and that spell no word (RFC 8628 section 6.1).
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class OAuthRefused(Refusal):
    """An error as RFC 6749 section 5.2 writes it."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error, error_description=description)


class Login(BaseModel):
    """What one app may do for one person: the newest token, and the secret that brings the next."""

    account: str
    client: str
    scope: str
    access: str
    until_s: float
    refresh: str
    nonce: str | None = None


@dataclass(slots=True)
class Device:
    """A login that waits for a person with a browser."""

    code: str
    user_code: str
    client: str
    scope: str
    until_s: float
    decided: Literal["no"] | Account | None = None
    asked_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Permit:
    """What a person agreed to in the browser, until the app fetches its token for it."""

    account: str
    client: str
    scope: str
    redirect_uri: str
    challenge: str | None
    nonce: str | None
    until_s: float


_ALL = TypeAdapter(list[Login])


class Logins:
    """All logins of one Hub; the tokens they brought are known to its accounts."""

    def __init__(self, accounts: Accounts, kept: str | None, *, last_s: int, clock: Callable[[], float]) -> None:
        self._accounts, self._last_s, self._clock = accounts, last_s, clock
        self._devices: dict[str, Device] = {}
        self._permits: dict[str, Permit] = {}
        self._by_refresh: dict[str, Login] = {}
        for login in _ALL.validate_json(kept) if kept else []:
            self._remember(login)

    def text(self) -> str:
        """All of them, to be kept."""
        return _ALL.dump_json(list(self._by_refresh.values())).decode()

    # On a device without a browser

    def begin(self, client: str, scope: str | None) -> Device:
        """A code for the device, and one for its user to type. Raises OAuthRefused."""
        letters = [secrets.choice(_LETTERS) for _ in range(8)]
        device = Device(
            code=secrets.token_urlsafe(32),
            user_code="".join([*letters[:4], "-", *letters[4:]]),
            client=_named(client),
            scope=_known(scope),
            until_s=self._clock() + DEVICE_CODES_LAST_S,
        )
        self._devices = {code: each for code, each in self._devices.items() if each.until_s > self._clock()}
        self._devices[device.code] = device
        return device

    def decide(self, user_code: str, account: Account | None) -> Device:
        """What the user says to the device that shows this code: yes as that account, or no. Raises Refusal."""
        typed = "".join(letter for letter in user_code.upper() if letter.isalpha())
        for device in self._devices.values():
            if device.user_code.replace("-", "") == typed and device.until_s > self._clock() and device.decided is None:
                device.decided = account or "no"
                return device
        raise Refusal("This code is wrong or has expired", status=404)

    def poll(self, client: str, code: str) -> Login:
        """The login, once its user has agreed. Raises OAuthRefused."""
        device, now = self._devices.get(code), self._clock()
        if device is None or device.client != client:
            raise OAuthRefused("invalid_grant", "The device code is not known")
        if device.until_s <= now:
            raise OAuthRefused("expired_token", "The device code has expired")
        if device.decided is None:
            hasty = device.asked_at_s is not None and now - device.asked_at_s < POLL_EVERY_S - 1
            device.asked_at_s = now
            if hasty:
                raise OAuthRefused("slow_down", f"Ask every {POLL_EVERY_S} seconds")
            raise OAuthRefused("authorization_pending", "The user has not decided yet")
        del self._devices[code]
        if device.decided == "no":
            raise OAuthRefused("access_denied", "The user said no")
        return self._new(device.decided.name, client, device.scope)

    # In a browser

    def permit(
        self,
        account: Account,
        client: str,
        scope: str | None,
        redirect_uri: str,
        challenge: str | None,
        nonce: str | None,
    ) -> str:
        """The code that a person's yes to an app is worth. Raises OAuthRefused."""
        code, now = secrets.token_urlsafe(24), self._clock()
        self._permits = {key: each for key, each in self._permits.items() if each.until_s > now}
        self._permits[code] = Permit(
            account.name, _named(client), _known(scope), redirect_uri, challenge, nonce, now + _CODES_LAST_S
        )
        return code

    def redeem(self, client: str, code: str, redirect_uri: str, verifier: str | None) -> Login:
        """The login for such a code, once. Raises OAuthRefused."""
        permit = self._permits.pop(code, None)
        if permit is None or permit.until_s <= self._clock() or permit.client != client:
            raise OAuthRefused("invalid_grant", "The code is not known, was used, or has expired")
        if permit.redirect_uri != redirect_uri:
            raise OAuthRefused("invalid_grant", "The redirect_uri is another one than the code was asked with")
        if permit.challenge is not None and _challenge(verifier or "") != permit.challenge:
            raise OAuthRefused("invalid_grant", "The code_verifier does not fit")
        return self._new(permit.account, client, permit.scope, permit.nonce)

    # Later

    def renew(self, client: str, refresh: str) -> Login:
        """A new token, and a new secret to renew it with; the old secret is worth nothing then. Raises OAuthRefused."""
        login = self._by_refresh.get(refresh)
        if login is None or login.client != client:
            raise OAuthRefused("invalid_grant", "The refresh token is not known or was used")
        del self._by_refresh[refresh]
        return self._new(login.account, client, login.scope)

    def _new(self, account: str, client: str, scope: str, nonce: str | None = None) -> Login:
        login = Login(
            account=account,
            client=client,
            scope=scope,
            access=f"hf_oauth_{secrets.token_urlsafe(32)}",
            until_s=self._clock() + self._last_s,
            refresh=f"hf_oauth__refresh_{secrets.token_urlsafe(32)}",
            nonce=nonce,
        )
        self._remember(login)
        return login

    def _remember(self, login: Login) -> None:
        account, scopes = self._accounts.named(login.account), tuple(login.scope.split())
        if account is None:
            return
        self._by_refresh[login.refresh] = login
        role: Literal["read", "write", "fineGrained"] = "fineGrained"
        if "read-repos" in scopes:
            role = "read"
        if not _WRITING.isdisjoint(scopes):
            role = "write"
        token = Token(
            secret=login.access,
            name="oauth",
            role=role,
            may_everywhere=("discussion.write",) if "write-discussions" in scopes else (),
            oauth_scopes=scopes,
            until_s=login.until_s,
        )
        self._accounts.issue(account, token)


def _named(client: str) -> str:
    if not (client and client.isascii() and client.isprintable()):
        raise OAuthRefused("invalid_client", "client_id is missing, or is none")
    return client


def _known(scope: str | None) -> str:
    """The scopes that are asked for; an app that asks for none gets all that it could, as `hf auth login` does."""
    if not scope:
        return " ".join(SCOPES)
    if unknown := [each for each in scope.split() if each not in SCOPES]:
        raise OAuthRefused("invalid_scope", f"Unknown scope: {unknown[0]}")
    return " ".join(scope.split())


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode(errors="replace")).digest()).rstrip(b"=").decode()
