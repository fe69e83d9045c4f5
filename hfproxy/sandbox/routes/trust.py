"""What goes with a repository beside its content: a token that speaks for it, its scan, its resource group.

Source: contract section 7.
"""

import base64
import hashlib
import hmac
import json
import time

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..refusals import BadRequest
from ..routing import Routes

routes = Routes()

TOKEN_LASTS_S = 3600


@routes.get("/api/{types}/{repo}/jwt")
async def jwt(call: Call) -> web.StreamResponse:
    """A token for one repository, signed by a key that only this sandbox has."""
    repo = call.writable_repo() if call.flag("write") else call.readable_repo()
    account = call.hub.rights.check_logged_in(call.caller)
    expires_at = int(time.time()) + TOKEN_LASTS_S
    claims = {
        "sub": f"/{repo.ref}",
        "user": account.name,
        "permission": {"repo.content.read": True, "repo.write": call.flag("write")},
        "iat": expires_at - TOKEN_LASTS_S,
        "exp": expires_at,
    }
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    mac = hmac.digest(call.hub.token_key, signed.encode(), hashlib.sha256)
    return json_answer({"token": f"{signed}.{_encoded(mac)}", "exp": expires_at})


@routes.get("/api/{types}/{repo}/scan")
async def scan(call: Call) -> web.StreamResponse:
    call.readable_repo()
    return json_answer({"scansDone": True, "filesWithIssues": []})


@routes.get("/api/{types}/{repo}/resource-group")
async def resource_group(call: Call) -> web.StreamResponse:
    group = call.writable_repo().record.resource_group
    return json_answer({"id": group} if group else None)


@routes.post("/api/{types}/{repo}/resource-group")
async def set_resource_group(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    group = (await call.json()).get("resourceGroupId")
    if group is not None and not isinstance(group, str):
        raise BadRequest('"resourceGroupId" must be a string or null')
    repo.record.resource_group = group or None
    call.hub.keep(repo)
    call.hub.announce(repo, "update", "repo.config")
    return json_answer({"id": group} if group else None)


def _part(claims: dict[str, object]) -> str:
    return _encoded(json.dumps(claims, separators=(",", ":")).encode())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
