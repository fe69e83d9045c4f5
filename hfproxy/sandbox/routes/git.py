"""Branches, tags, other refs, and the commits they lead to.

Source: contract section 3.5.
"""

import html
from typing import Any

from aiohttp import web

from ..answers import json_answer, text_answer
from ..call import Call
from ..history import MAIN, Change, valid_ref
from ..paging import limit_of, next_link
from ..refusals import BadRequest, Conflict, Forbidden, RevisionMissing
from ..repository import Repository
from ..routing import Routes
from ..whoami import iso

routes = Routes()

COMMITS_PAGE = 50


@routes.get("/api/{types}/{repo}/refs")
async def refs(call: Call) -> web.StreamResponse:
    repo = call.visible_repo()
    told = {
        "branches": _refs(repo, "refs/heads/"),
        "converts": _refs(repo, "refs/convert/"),
        "tags": _refs(repo, "refs/tags/"),
    }
    if call.flag("include_prs") or call.flag("include_prs[]"):
        told["pullRequests"] = _refs(repo, "refs/pr/")
    return json_answer(told)


@routes.get("/api/{types}/{repo}/commits/{revision}")
async def commits(call: Call) -> web.StreamResponse:
    repo = call.visible_repo()
    log = list(repo.history.log(repo.commit_hash(call.params["revision"])))
    limit = limit_of(call, COMMITS_PAGE)
    try:
        number = max(int(call.value("p") or 0), 0)
    except ValueError:
        raise BadRequest('"p" must be a number') from None
    headers = {"X-Total-Count": str(len(log))}
    if (number + 1) * limit < len(log):
        others = [(key, value) for key, value in call.query if key != "p"]
        headers |= next_link(call, [*others, ("p", str(number + 1))])
    formatted = "formatted" in call.values("expand")
    found = log[number * limit : (number + 1) * limit]
    return json_answer([_commit(change, formatted) for change in found], headers=headers)


@routes.post("/api/{types}/{repo}/branch/{branch}")
async def create_branch(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    fields = await call.json()
    name = call.params["branch"]
    ref = f"refs/heads/{name}"
    if name.startswith("refs/") or not valid_ref(ref):
        raise BadRequest("Invalid reference for a branch")
    async with call.hub.lock(repo):
        if repo.history.ref(ref) and not fields.get("overwrite"):
            raise Conflict(f"Reference {ref} already exists")
        _check_room(repo, ref)
        if fields.get("emptyBranch"):
            repo.history.squash_to_nothing(ref, by=call.hub.signature(call.caller.name or ""))
        else:
            repo.history.set_ref(ref, repo.commit_hash(fields.get("startingPoint")))
    return text_answer("OK")


@routes.delete("/api/{types}/{repo}/branch/{branch}")
async def delete_branch(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    ref = f"refs/heads/{call.params['branch']}"
    if ref == MAIN:
        raise Forbidden(f"Cannot delete {ref}")
    return await _dropped(call, repo, ref)


@routes.post("/api/{types}/{repo}/tag/{revision}")
async def create_tag(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    fields = await call.json()
    commit_hash = repo.commit_hash(call.params["revision"])
    name = fields.get("tag")
    ref = f"refs/tags/{name}"
    if not isinstance(name, str) or name.startswith("refs/") or not valid_ref(ref):
        raise BadRequest("Invalid tag name")
    async with call.hub.lock(repo):
        if repo.history.ref(ref):
            raise Conflict(f"Reference {ref} already exists")
        _check_room(repo, ref)
        if message := fields.get("message"):
            repo.history.tag(name, commit_hash, str(message), call.hub.signature(call.caller.name or ""))
        else:
            repo.history.set_ref(ref, commit_hash)
    return text_answer("OK")


@routes.delete("/api/{types}/{repo}/tag/{tag}")
async def delete_tag(call: Call) -> web.StreamResponse:
    return await _dropped(call, call.writable_repo(), f"refs/tags/{call.params['tag']}")


@routes.post("/api/{types}/{repo}/super-squash/{branch}")
async def super_squash(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    fields = await call.json()
    branch = call.params["branch"]
    ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
    async with call.hub.lock(repo):
        if repo.history.ref(ref) is None:
            raise RevisionMissing(branch)
        message = str(fields.get("message") or f"Super-squash branch '{branch}'")
        commit_hash = repo.history.squash(ref, by=call.hub.signature(call.caller.name or ""), message=message)
        call.hub.touch(repo)
    return json_answer({"commitId": commit_hash})


@routes.get("/api/{types}/{repo}/compare/{range}")
async def compare(call: Call) -> web.StreamResponse:
    """What changed between two revisions, as a patch; from their last common commit for `a...b`."""
    repo = call.readable_repo()
    asked = call.params["range"]
    dots = "..." if "..." in asked else ".."
    before, found, after = asked.partition(dots)
    if not found:
        raise BadRequest('"compare" must be of the form "base..head"')
    old, new = repo.commit_hash(before), repo.commit_hash(after)
    if dots == "...":
        old = repo.history.common_ancestor(old, new) or old
    return text_answer(repo.history.patch(old, new))


def _refs(repo: Repository, prefix: str) -> list[dict[str, str]]:
    return [
        {"name": name, "ref": prefix + name, "targetCommit": commit_hash}
        for name, commit_hash in repo.history.refs(prefix).items()
    ]


def _commit(change: Change, formatted: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": change.commit_hash,
        "title": change.title,
        "message": change.message,
        "authors": [{"user": change.author, "avatar": f"/avatars/{change.author}.svg"}],
        "date": iso(change.date),
    }
    if formatted:
        message = f"<p>{html.escape(change.message)}</p>" if change.message else ""
        told["formatted"] = {"title": html.escape(change.title), "message": message}
    return told


def _check_room(repo: Repository, ref: str) -> None:
    """Git keeps refs like files: `a` and `a/b` cannot both be. Raises Conflict."""
    family, _, _ = ref.removeprefix("refs/").partition("/")
    for name in repo.history.refs(f"refs/{family}/"):
        other = f"refs/{family}/{name}"
        if other.startswith(f"{ref}/") or ref.startswith(f"{other}/"):
            raise Conflict(f"Reference {other} already exists, which leaves no room for {ref}")


async def _dropped(call: Call, repo: Repository, ref: str) -> web.StreamResponse:
    """The answer to who deletes a branch or tag. Raises RevisionMissing."""
    async with call.hub.lock(repo):
        if repo.history.ref(ref) is None:
            raise RevisionMissing(ref)
        repo.history.drop_ref(ref)
    return text_answer("OK")
