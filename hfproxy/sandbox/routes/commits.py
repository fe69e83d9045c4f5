"""Changing content: what to send how, and the commit.

Source: contract sections 6.3 and 6.5.
"""

import asyncio
from typing import Any

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..committing import Drafter, lines_of
from ..discussed import Committed
from ..history import HeadMoved
from ..refusals import BadRequest, NotLoggedIn, Refusal, RevisionMissing
from ..repository import Repository
from ..routing import Routes
from ..upload_modes import attributes_of, ignore_rules, ignored, upload_mode

routes = Routes()

BRANCH_MOVED = "The branch was updated since you opened this page. Please refresh and try again."


@routes.post("/api/{types}/{repo}/preupload/{revision}")
async def preupload(call: Call) -> web.StreamResponse:
    repo = _committable(call)
    ref = _ref_of(call, repo)
    fields = await call.json()
    files = fields.get("files")
    if not isinstance(files, list):
        raise BadRequest('"files" is required')
    head = repo.commit_hash(ref)
    attributes = attributes_of(_text(repo, head, ".gitattributes", fields.get("gitAttributes")))
    rules = ignore_rules(_text(repo, head, ".gitignore", fields.get("gitIgnore")))
    told = []
    for file in files:
        try:
            path, size_bytes = str(file["path"]), int(file["size"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise BadRequest('"files" must be a list of {path, size, sample}') from None
        present = repo.history.entry(head, path)
        told.append(
            {
                "path": path,
                "uploadMode": upload_mode(path, size_bytes, str(file.get("sample") or ""), attributes),
                "shouldIgnore": ignored(path, rules),
                **({"oid": present.etag} if present and not present.is_folder else {}),
            }
        )
    return json_answer({"files": told, "commitOid": head})


@routes.post("/api/{types}/{repo}/commit/{revision}")
async def commit(call: Call) -> web.StreamResponse:
    repo = _committable(call)
    ref = _ref_of(call, repo)
    base = repo.commit_hash(ref)
    drafter = Drafter(call.hub, repo, base)
    if call.request.content_type == "application/json":
        draft = drafter.read_object(await call.json())
    else:
        draft = await drafter.read(lines_of(call.chunks()))
    async with call.hub.lock(repo):
        head = repo.commit_hash(ref)
        if draft.parent_commit and draft.parent_commit != head:
            raise Refusal(BRANCH_MOVED, status=412)
        pull_request = repo.pull_request_at(ref)
        if call.flag("create_pr"):
            pull_request = call.hub.open_discussion(
                repo, draft.summary, draft.description, by=call.caller.name or "", base=ref
            )
        target = pull_request.ref if pull_request else ref
        try:
            # Trees are written off the loop: a commit may name thousands of files.
            commit_hash = await asyncio.to_thread(
                repo.history.commit,
                target,
                draft.changes,
                by=call.hub.signature(call.caller.name or ""),
                message=draft.message,
                parent=head,
                moving_from=head if target == ref else None,
            )
        except HeadMoved:
            raise Refusal(BRANCH_MOVED, status=412) from None
        if pull_request:
            pull_request.events.append(
                Committed(
                    author=call.caller.name or "", at=call.hub.now(), subject=draft.summary, commit_hash=commit_hash
                )
            )
        call.hub.touch(repo)
    told: dict[str, Any] = {
        "success": True,
        "commitOid": commit_hash,
        "commitUrl": f"{call.base_url}/{repo.ref}/commit/{commit_hash}",
        "hookOutput": "",
    }
    if pull_request and call.flag("create_pr"):
        told["pullRequestUrl"] = f"{call.base_url}/{repo.ref}/discussions/{pull_request.num}"
    return json_answer(told)


def _committable(call: Call) -> Repository:
    """The repository, if the caller may commit to it; a pull request of one's own needs no right to write."""
    if call.caller.account is None:
        raise NotLoggedIn
    own = call.visible_repo().pull_request_at(call.params["revision"])
    if not call.flag("create_pr") and (own is None or own.author != call.caller.name):
        return call.writable_repo()
    repo = call.readable_repo()
    if not call.hub.rights.may_write(call.caller, repo):
        call.hub.rights.check_acts(call.caller, "discussion.write")
    return repo


def _ref_of(call: Call, repo: Repository) -> str:
    """The full name of the ref to commit on. Raises RevisionMissing for anything that no commit can move."""
    asked = call.params["revision"]
    ref = asked if asked.startswith("refs/") else f"refs/heads/{asked}"
    if repo.history.ref(ref) is None or ref.startswith("refs/tags/"):
        raise RevisionMissing(asked)
    return ref


def _text(repo: Repository, commit_hash: str, path: str, given: Any) -> bytes:
    """A rule file: the one that comes with the request, or the one that is there."""
    if isinstance(given, str):
        return given.encode()
    entry = repo.history.entry(commit_hash, path)
    return repo.history.read(entry.oid) if entry and not entry.is_folder else b""
