"""What the Hub says about an account, in whoami and on profile pages."""

from datetime import UTC, datetime
from typing import Any

from .accounts import Account, Accounts, OrgRole, Token
from .callers import Caller

_MADE_AT = "2026-01-02T03:04:05.678Z"


def iso(moment: datetime) -> str:
    """A time as the Hub writes it: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def whoami(caller: Caller, accounts: Accounts) -> dict[str, Any]:
    """The answer of whoami-v2 for one who is known. Source: contract section 1.2."""
    account, token = caller.account, caller.token
    assert account is not None
    assert token is not None
    if account.kind == "org":
        return {**_identity(account), "email": None, "canPay": False, "periodEnd": None}
    return {
        **_identity(account),
        "email": account.email,
        "emailVerified": account.email is not None,
        "canPay": False,
        "billingMode": "postpaid",
        "periodEnd": None,
        "isPro": account.is_pro,
        "orgs": [_membership(org, role) for org, role in accounts.organisations_of(account)],
        "auth": _auth(token, accounts),
    }


def _identity(account: Account) -> dict[str, Any]:
    return {
        "type": account.kind,
        "id": account.account_id,
        "name": account.name,
        "fullname": account.fullname or account.name,
        "avatarUrl": account.avatar_url,
    }


def _membership(org: Account, role: OrgRole) -> dict[str, Any]:
    plan = {"plan": org.plan} if org.plan else {}
    return {
        **_identity(org),
        "email": org.email,
        "canPay": False,
        "billingMode": "prepaid",
        "periodEnd": None,
        **plan,
        "roleInOrg": role,
        "securityRestrictions": [],
        "resourceGroups": [],
    }


def _auth(token: Token, accounts: Accounts) -> dict[str, Any]:
    """A token that came by OAuth has an end, and no name of its own (`huggingface_hub` `_validate_and_save_token`)."""
    if token.oauth_scopes is None:
        return {"type": "access_token", "accessToken": _token(token, accounts)}
    ends = {"expiresAt": iso(datetime.fromtimestamp(token.until_s, UTC))} if token.until_s is not None else {}
    return {"type": "oauth", **ends}


def _token(token: Token, accounts: Accounts) -> dict[str, Any]:
    told: dict[str, Any] = {"displayName": token.name, "role": token.role, "createdAt": _MADE_AT}
    if token.role == "fineGrained":
        told["fineGrained"] = {
            "canReadGatedRepos": token.reads_gated,
            "global": list(token.may_everywhere),
            "scoped": [
                {
                    "entity": {
                        "_id": named.account_id if (named := accounts.named(scope.entity)) else "0" * 24,
                        "type": scope.entity_type,
                        "name": scope.entity,
                    },
                    "permissions": list(scope.permissions),
                }
                for scope in token.scopes
            ],
        }
    return told
