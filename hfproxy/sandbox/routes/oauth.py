"""Login by OAuth: on devices (`hf auth login`), in browsers (apps, Spaces), and the renewing of their tokens.

Sources: contract sections 1.1 and 7; hub-docs `hub/oauth.md`; RFC 6749, 8414, 8628, 8693.
"""

import html
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from aiohttp import BasicAuth, web

from ..accounts import Account
from ..answers import json_answer
from ..call import Call, first_of_each
from ..logins import DEVICE_CODES_LAST_S, POLL_EVERY_S, SCOPES, Login, OAuthRefused
from ..logins import KEPT_AS as LOGINS_KEPT_AS
from ..refusals import BadRequest, Forbidden, Refusal
from ..routing import Routes

routes = Routes()

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_NEVER_KEPT = {"Cache-Control": "no-store"}


@routes.get("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
async def configuration(call: Call) -> web.StreamResponse:
    base = call.base_url
    return json_answer(
        {
            "issuer": base,
            "authorization_endpoint": f"{base}/oauth/authorize",
            "token_endpoint": f"{base}/oauth/token",
            "device_authorization_endpoint": f"{base}/oauth/device",
            "userinfo_endpoint": f"{base}/oauth/userinfo",
            "jwks_uri": f"{base}/oauth/jwks",
            "scopes_supported": SCOPES,
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token", _DEVICE_GRANT, _EXCHANGE_GRANT],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "code_challenge_methods_supported": ["S256"],
        }
    )


@routes.get("/oauth/jwks")
async def keys(call: Call) -> web.StreamResponse:
    return json_answer(call.hub.id_tokens.keys())


@routes.post("/oauth/device")
async def begin_device_login(call: Call) -> web.StreamResponse:
    asked = await _fields(call)
    device = call.hub.logins.begin(_client(call, asked), asked.get("scope"))
    page = f"{call.base_url}/oauth/device"
    told = {
        "device_code": device.code,
        "user_code": device.user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={device.user_code}",
        "expires_in": DEVICE_CODES_LAST_S,
        "interval": POLL_EVERY_S,
    }
    return json_answer(told, headers=_NEVER_KEPT)


@routes.get("/oauth/device")
async def device_page(call: Call) -> web.StreamResponse:
    """Where a person types the code; a sandbox has no passwords, so they say who they are."""
    code = html.escape(call.value("user_code") or "", quote=True)
    field = f'<p><label>Code <input name="user_code" value="{code}" required></label></p>'
    return _page("Log in on a device", "/-/oauth/device", field + _buttons(call))


@routes.post("/-/oauth/device")
async def decide_on_device(call: Call) -> web.StreamResponse:
    """What that page's buttons say; scripts may say it too."""
    said = await _fields(call)
    device = call.hub.logins.decide(said.get("user_code", ""), _person(call, said))
    agreed = "may go on" if device.decided != "no" else "was told no"
    return _page(f"The device {agreed}. You can close this page.")


@routes.get("/oauth/authorize")
async def authorize(call: Call) -> web.StreamResponse:
    """A yes of the person whose session the browser brings along, else the page that asks for one."""
    asked = dict(call.query)
    _check_authorization(asked)
    known = call.hub.accounts.by_secret(call.request.cookies.get("token", ""))
    if known is not None and known[0].kind == "user":
        return _sent_back(asked, code=_permit(call, asked, known[0]))
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in asked.items()
    )
    wants = f"<p>{html.escape(asked['client_id'])} asks for: {html.escape(asked.get('scope') or 'everything')}</p>"
    return _page("Authorize an application", "/-/oauth/authorize", wants + hidden + _buttons(call))


@routes.post("/-/oauth/authorize")
async def decide_on_app(call: Call) -> web.StreamResponse:
    asked = await _fields(call)
    _check_authorization(asked)
    person = _person(call, asked)
    if person is None:
        return _sent_back(asked, error="access_denied")
    return _sent_back(asked, code=_permit(call, asked, person))


@routes.post("/oauth/token")
async def give_token(call: Call) -> web.StreamResponse:
    asked = await _fields(call)
    logins, client = call.hub.logins, _client(call, asked)
    match asked.get("grant_type"):
        case "authorization_code":
            login = logins.redeem(
                client, asked.get("code", ""), asked.get("redirect_uri", ""), asked.get("code_verifier")
            )
        case "refresh_token":
            login = logins.renew(client, asked.get("refresh_token", ""))
        case str(grant) if grant == _DEVICE_GRANT:
            login = logins.poll(client, asked.get("device_code", ""))
        case str(grant) if grant == _EXCHANGE_GRANT:
            # No repository here has a trusted publisher, and no organisation an app of its own.
            raise OAuthRefused("invalid_grant", "No trusted publisher or application matches this token")
        case _:
            raise OAuthRefused("unsupported_grant_type", "grant_type is missing or not supported")
    call.hub.keep_text(LOGINS_KEPT_AS, logins.text())
    return json_answer(_told(call, login), headers=_NEVER_KEPT)


@routes.get("/oauth/userinfo")
@routes.post("/oauth/userinfo")
async def user_info(call: Call) -> web.StreamResponse:
    account, token = call.hub.rights.check_logged_in(call.caller), call.caller.token
    if token is None or token.oauth_scopes is None:
        raise Forbidden("This is only available through OAuth access tokens")
    told = {"sub": account.account_id, **_claims(call, account, token.oauth_scopes)}
    return json_answer({**told, **_more_than_claims(call, account, token.oauth_scopes)})


def _told(call: Call, login: Login) -> dict[str, Any]:
    account, scopes = call.hub.accounts.named(login.account), tuple(login.scope.split())
    assert account is not None
    now = int(call.hub.now_s())
    told = {
        "access_token": login.access,
        "token_type": "bearer",
        "expires_in": int(login.until_s - call.hub.now_s()),
        "refresh_token": login.refresh,
        "scope": login.scope,
    }
    if "openid" in scopes:
        stated = {"iss": call.base_url, "sub": account.account_id, "aud": login.client, "iat": now, "auth_time": now}
        stated |= {"exp": now + 3600} | ({"nonce": login.nonce} if login.nonce else {})
        told["id_token"] = call.hub.id_tokens.signed({**stated, **_claims(call, account, scopes)})
    return told


def _claims(call: Call, account: Account, scopes: tuple[str, ...]) -> dict[str, Any]:
    """What an app that may have these scopes is told of a person, in the ID token too."""
    told: dict[str, Any] = {}
    if "profile" in scopes:
        told |= {
            "name": account.fullname or account.name,
            "preferred_username": account.name,
            "profile": f"{call.base_url}/{account.name}",
            "picture": f"{call.base_url}{account.avatar_url}",
            "website": "",
        }
    if "email" in scopes and account.email:
        told |= {"email": account.email, "email_verified": True}
    return told


def _more_than_claims(call: Call, account: Account, scopes: tuple[str, ...]) -> dict[str, Any]:
    """What the ID token lacks (`huggingface_hub` tests/test_oauth.py)."""
    told: dict[str, Any] = {}
    if "profile" in scopes:
        told |= {
            "isPro": account.is_pro,
            "orgs": [
                {
                    "sub": org.account_id,
                    "name": org.fullname or org.name,
                    "preferred_username": org.name,
                    "picture": f"{call.base_url}{org.avatar_url}",
                    "isEnterprise": org.plan == "enterprise",
                    "roleInOrg": role,
                    **({"plan": org.plan} if org.plan else {}),
                }
                for org, role in call.hub.accounts.organisations_of(account)
            ],
        }
    if "read-billing" in scopes:
        told["canPay"] = False
    return told


async def _fields(call: Call) -> dict[str, str]:
    """The body's fields, of which each stands once; a form or JSON."""
    fields = first_of_each(await call.form_or_json())
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _client(call: Call, asked: dict[str, str]) -> str:
    """Which app asks: by Basic, or in the body. Its secret is not looked at."""
    sent = call.request.headers.get("Authorization", "")
    if not sent.casefold().startswith("basic "):
        return asked.get("client_id", "")
    try:
        return unquote(BasicAuth.decode(sent).login)
    except ValueError:
        raise OAuthRefused("invalid_client", "The Authorization header is not Basic") from None


def _check_authorization(asked: dict[str, str]) -> None:
    uri = asked.get("redirect_uri", "")
    try:
        target = urlsplit(uri if uri.isascii() and uri.isprintable() else "")
    except ValueError:
        raise BadRequest("redirect_uri is no URL") from None
    if target.scheme not in {"http", "https"} or not target.netloc or not asked.get("client_id"):
        raise BadRequest("client_id and an absolute redirect_uri are needed")
    if asked.get("response_type") != "code":
        raise BadRequest('response_type must be "code"')
    if asked.get("code_challenge") and asked.get("code_challenge_method") != "S256":
        raise BadRequest('code_challenge_method must be "S256"')


def _permit(call: Call, asked: dict[str, str], person: Account) -> str:
    return call.hub.logins.permit(
        person,
        asked["client_id"],
        asked.get("scope"),
        asked["redirect_uri"],
        asked.get("code_challenge"),
        asked.get("nonce"),
    )


def _sent_back(asked: dict[str, str], **said: str) -> web.Response:
    state = {"state": asked["state"]} if "state" in asked else {}
    target = urlsplit(asked["redirect_uri"])
    query = "&".join(part for part in (target.query, urlencode({**said, **state})) if part)
    # As the Hub writes a URL that has no path (`huggingface_hub` tests/test_oauth.py).
    location = target._replace(path=target.path or "/", query=query).geturl()
    return web.Response(status=303, headers={"Location": location})


def _person(call: Call, said: dict[str, str]) -> Account | None:
    """Who says yes, or None for a no. Raises Refusal."""
    if said.get("account") == "":
        return None
    person = call.hub.accounts.named(said.get("account", " "))
    if person is None or person.kind != "user":
        raise Refusal("This user does not exist", status=404)
    return person


def _buttons(call: Call) -> str:
    people = [account for account in call.hub.accounts if account.kind == "user"]
    yes = "".join(
        f'<button name="account" value="{html.escape(each.name)}">Yes, as {html.escape(each.name)}</button> '
        for each in people
    )
    return f'<p>{yes}<button name="account" value="">No</button></p>'


def _page(title: str, action: str | None = None, form: str = "") -> web.Response:
    shown = html.escape(title)
    body = f'<form method="post" action="{action}">{form}</form>' if action else ""
    page = f"<!doctype html>\n<html><head><title>{shown}</title></head><body><h1>{shown}</h1>{body}</body></html>\n"
    return web.Response(text=page, content_type="text/html", headers=_NEVER_KEPT)
