"""Tokens for the Xet store, in both of their forms. Source: contract section 5.2."""

import secrets

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..refusals import NotLoggedIn, Refusal
from ..routing import Routes
from ..xet import CAS_URL

routes = Routes()

TOKEN_LASTS_S = 3600


@routes.get("/api/{types}/{repo}/xet-read-token/{revision}")
async def read_token(call: Call) -> web.StreamResponse:
    repo = call.readable_repo()
    _check_announced(call)
    repo.commit_hash(call.params["revision"])
    return _token(call)


@routes.get("/api/{types}/{repo}/xet-write-token/{revision}")
async def write_token(call: Call) -> web.StreamResponse:
    """For a commit, or for a pull request that is still to be opened: then the revision is the word `None`."""
    if call.caller.account is None:
        raise NotLoggedIn
    if call.flag("create_pr") or call.params["revision"].startswith("refs/pr/"):
        call.readable_repo()
    else:
        call.writable_repo()
    _check_announced(call)
    return _token(call)


def _check_announced(call: Call) -> None:
    if not call.hub.config.announces_xet:
        raise Refusal("Xet is not enabled on this Hub", status=404)


def _token(call: Call) -> web.StreamResponse:
    token, until = f"xet-{secrets.token_urlsafe(24)}", int(call.hub.now().timestamp()) + TOKEN_LASTS_S
    return json_answer(
        {"casUrl": CAS_URL, "exp": until, "accessToken": token},
        headers={"X-Xet-Cas-Url": CAS_URL, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(until)},
    )
