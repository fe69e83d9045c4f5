"""Tokens for the Xet store, in both of their forms, and what went through it. Source: contract section 5.2."""

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..cas.tokens import Permission
from ..refusals import NotLoggedIn, Refusal
from ..routing import Routes
from ..xet import granted

routes = Routes()


@routes.get("/api/{types}/{repo}/xet-read-token/{revision}")
async def read_token(call: Call) -> web.StreamResponse:
    repo = call.readable_repo()
    repo.commit_hash(call.params["revision"])
    return token_answer(call, repo.record.oid, call.params["revision"], "read")


@routes.get("/api/{types}/{repo}/xet-write-token/{revision}")
async def write_token(call: Call) -> web.StreamResponse:
    """For a commit, or for a pull request that is still to be opened: then the revision is the word `None`."""
    if call.caller.account is None:
        raise NotLoggedIn
    if call.flag("create_pr") or call.params["revision"].startswith("refs/pr/"):
        repo = call.readable_repo()
        if not call.hub.rights.may_write(call.caller, repo):
            call.hub.rights.check_acts(call.caller, "discussion.write")
    else:
        repo = call.writable_repo()
        repo.commit_hash(call.params["revision"])
    return token_answer(call, repo.record.oid, call.params["revision"], "write")


@routes.get("/-/xet")
async def told(call: Call) -> web.StreamResponse:
    """What went through the store since the start, or since it was last deleted, and what it holds."""
    store = call.hub.cas.store
    held = {"xorbs": store.xorb_count, "chunks": store.chunk_count, "stored_bytes": store.stored_bytes}
    return json_answer({**call.hub.cas.traffic.told(), **held})


@routes.delete("/-/xet")
async def start_again(call: Call) -> web.StreamResponse:
    call.hub.cas.traffic.clear()
    return await told(call)


def token_answer(call: Call, oid: str, revision: str, permission: Permission) -> web.StreamResponse:
    """A token for a repository's revision, or for a bucket, which has none. Raises Refusal where there is no Xet."""
    if not call.hub.config.xet:
        raise Refusal("Xet is not enabled on this Hub", status=404)
    access = granted(call.hub, oid, revision, permission, call.caller)
    return json_answer(access.body(), headers={**access.headers(), "Cache-Control": "no-store"})
