"""Discussions and pull requests.

Source: contract section 7, "Discussions". Who may see a repository may discuss it; who may write to it merges, and
like a discussion's author renames and closes it.
"""

import html
from typing import Any

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..discussed import Comment, Discussion, Event, StatusChange, TitleChange
from ..history import MAIN
from ..merging import merge
from ..refusals import BadRequest, Forbidden, Refusal
from ..repository import Repository
from ..rights import MISSING_PERMISSION
from ..routing import Routes
from ..whoami import iso

routes = Routes()

PAGE = 50
LONGEST_TITLE = 200
LONGEST_TEXT = 65536
_OPEN = frozenset({"open", "draft"})


@routes.get("/api/{types}/{repo}/discussions")
async def listing(call: Call) -> web.StreamResponse:
    repo = call.visible_repo()
    kind, status, author = call.value("type"), call.value("status"), call.value("author")
    if kind not in (None, "", "all", "discussion", "pull_request"):
        raise BadRequest('"type" must be one of [all, discussion, pull_request]')
    if status not in (None, "", "all", "open", "closed"):
        raise BadRequest('"status" must be one of [all, open, closed]')
    search = (call.value("search") or "").casefold()
    found = [
        each
        for each in reversed(repo.record.discussions)
        if kind in (None, "", "all") or each.is_pull_request == (kind == "pull_request")
        if status in (None, "", "all") or (each.status in _OPEN) == (status == "open")
        if not author or each.author.casefold() == author.casefold()
        if search in each.title.casefold()
    ]
    size = call.hub.config.page_size or PAGE
    try:
        start = max(int(call.value("p") or 0), 0) * size
    except ValueError:
        raise BadRequest('"p" must be a number') from None
    told = [_told(call, repo, each) for each in found[start : start + size]]
    return json_answer({"discussions": told, "count": len(found), "start": start})


@routes.post("/api/{types}/{repo}/discussions")
async def create(call: Call) -> web.StreamResponse:
    author = call.hub.rights.check_acts(call.caller, "discussion.write").name
    repo = call.visible_repo()
    if repo.record.settings.get("discussionsDisabled"):
        raise Forbidden("Discussions are disabled for this repo")
    fields = await call.json()
    title, text = _title(fields), _text(fields, "description", needed=False)
    is_pull_request = fields.get("pullRequest") is True
    async with call.hub.lock(repo):
        head = repo.commit_hash() if is_pull_request else None
        opened = call.hub.open_discussion(
            repo,
            title,
            text,
            by=author,
            base=MAIN if is_pull_request else None,
            status="draft" if is_pull_request else "open",
        )
        if head:
            repo.history.set_ref(opened.ref, head)
        call.hub.keep(repo)
    url = f"{call.base_url}/{repo.ref}/discussions/{opened.num}"
    return json_answer({"num": opened.num, "url": url, "pullRequest": is_pull_request})


@routes.get("/api/{types}/{repo}/discussions/{num}")
async def details(call: Call) -> web.StreamResponse:
    repo = call.visible_repo()
    discussion = repo.discussion(call.params["num"])
    told = _told(call, repo, discussion) | {"events": [_event(call, event) for event in discussion.events]}
    if discussion.is_pull_request:
        told["filesWithConflicts"] = _conflicts(repo, discussion)
        # The diff is content: it stays behind the gate, as files do.
        if call.value("diff") and call.hub.rights.passes_gate(call.caller, repo):
            told["diff"] = _diff(repo, discussion)
    return json_answer(told)


@routes.delete("/api/{types}/{repo}/discussions/{num}")
async def delete(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    discussion = repo.discussion(call.params["num"])
    async with call.hub.lock(repo):
        repo.record.discussions = [each for each in repo.record.discussions if each is not discussion]
        if discussion.is_pull_request:
            repo.history.drop_ref(discussion.ref)
        call.hub.keep(repo)
        call.hub.announce_discussion(repo, discussion, "delete")
    return json_answer({})


@routes.post("/api/{types}/{repo}/discussions/{num}/comment")
async def comment(call: Call) -> web.StreamResponse:
    author, repo, discussion = _discussing(call)
    said = discussion.say(_text(await call.json(), "comment"), by=author, at=call.hub.now())
    call.hub.keep(repo)
    call.hub.announce_discussion(repo, discussion, "create", said)
    return json_answer({"newMessage": _event(call, said)}, status=201)


@routes.post("/api/{types}/{repo}/discussions/{num}/title")
async def rename(call: Call) -> web.StreamResponse:
    author, repo, discussion = _steering(call)
    change = discussion.rename(_title(await call.json()), by=author, at=call.hub.now())
    call.hub.keep(repo)
    call.hub.announce_discussion(repo, discussion, "update")
    return json_answer({"newTitle": _event(call, change)})


@routes.post("/api/{types}/{repo}/discussions/{num}/status")
async def change_status(call: Call) -> web.StreamResponse:
    author, repo, discussion = _steering(call)
    fields = await call.json()
    status, text = fields.get("status"), _text(fields, "comment", needed=False)
    if status not in ("open", "closed"):
        raise BadRequest('"status" must be one of [open, closed]')
    if discussion.status == "merged":
        raise BadRequest("This pull request is merged already")
    if text:
        discussion.say(text, by=author, at=call.hub.now())
    change = discussion.become(status, by=author, at=call.hub.now())
    call.hub.keep(repo)
    call.hub.announce_discussion(repo, discussion, "update")
    return json_answer({"newStatus": _event(call, change)})


@routes.post("/api/{types}/{repo}/discussions/{num}/merge")
async def merge_it(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    discussion = repo.discussion(call.params["num"])
    text = _text(await call.json(), "comment", needed=False)
    author = call.caller.name or ""
    if not discussion.is_pull_request:
        raise BadRequest("This discussion is not a pull request")
    async with call.hub.lock(repo):
        if discussion.status != "open":
            raise BadRequest(f"This pull request is {discussion.status}: only an open one can be merged")
        call.hub.merge_pull_request(repo, discussion, by=author)
        if text:
            discussion.say(text, by=author, at=call.hub.now())
        change = discussion.become("merged", by=author, at=call.hub.now())
        call.hub.keep(repo)
        call.hub.announce_discussion(repo, discussion, "update")
    return json_answer({"newStatus": _event(call, change)})


@routes.post("/api/{types}/{repo}/discussions/{num}/pin")
async def pin(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    discussion = repo.discussion(call.params["num"])
    discussion.pinned = (await call.json()).get("pinned") is True
    call.hub.keep(repo)
    call.hub.announce_discussion(repo, discussion, "update")
    return json_answer({"pinned": discussion.pinned})


@routes.post("/api/{types}/{repo}/discussions/{num}/comment/{comment}/edit")
async def edit(call: Call) -> web.StreamResponse:
    author, repo, discussion = _discussing(call)
    said = _comment(call, discussion)
    if said.author != author:
        raise Forbidden(MISSING_PERMISSION)
    said.texts.append(said.texts[-1].model_copy(update={"raw": _text(await call.json(), "content"), "author": author}))
    said.texts[-1].at = call.hub.now()
    call.hub.keep(repo)
    call.hub.announce_discussion(repo, discussion, "update", said)
    return json_answer({"updatedComment": _event(call, said)})


@routes.post("/api/{types}/{repo}/discussions/{num}/comment/{comment}/hide")
async def hide(call: Call) -> web.StreamResponse:
    author, repo, discussion = _discussing(call)
    said = _comment(call, discussion)
    if said.author != author and not call.hub.rights.may_write(call.caller, repo):
        raise Forbidden(MISSING_PERMISSION)
    said.hidden = True
    call.hub.keep(repo)
    call.hub.announce_discussion(repo, discussion, "update", said)
    return json_answer({"updatedComment": _event(call, said)})


def _discussing(call: Call) -> tuple[str, Repository, Discussion]:
    """Who speaks, where, in which discussion."""
    account = call.hub.rights.check_acts(call.caller, "discussion.write")
    repo = call.visible_repo()
    return account.name, repo, repo.discussion(call.params["num"])


def _steering(call: Call) -> tuple[str, Repository, Discussion]:
    """The same, for what only a discussion's author and writers may do. Raises Forbidden."""
    author, repo, discussion = _discussing(call)
    if discussion.author != author and not call.hub.rights.may_write(call.caller, repo):
        raise Forbidden(MISSING_PERMISSION)
    return author, repo, discussion


def _comment(call: Call, discussion: Discussion) -> Comment:
    """The comment that the path names. Raises Refusal, also when it was hidden: that cannot be undone."""
    found = next((each for each in discussion.comments if each.oid == call.params["comment"]), None)
    if found is None:
        raise Refusal("Comment not found", status=404)
    if found.hidden:
        raise BadRequest("This comment has been hidden")
    return found


def _title(fields: dict[str, Any]) -> str:
    title = fields.get("title")
    if not isinstance(title, str) or not title.strip():
        raise BadRequest('"title" is required')
    if len(title) > LONGEST_TITLE:
        raise BadRequest(f'"title" length must be less than or equal to {LONGEST_TITLE} characters long')
    return title.strip()


def _text(fields: dict[str, Any], name: str, *, needed: bool = True) -> str:
    text = fields.get(name, None if needed else "")
    if text is None and not needed:
        return ""
    if not isinstance(text, str) or (needed and not text.strip()):
        raise BadRequest(f'"{name}" is required')
    if len(text) > LONGEST_TEXT:
        raise BadRequest(f'"{name}" length must be less than or equal to {LONGEST_TEXT} characters long')
    return text


def _conflicts(repo: Repository, discussion: Discussion) -> list[str] | bool:
    ours, theirs = repo.history.ref(discussion.base or MAIN), repo.history.ref(discussion.ref)
    if discussion.status not in _OPEN or not ours or not theirs:
        return False
    return list(merge(repo.history, ours, theirs).conflicts) or False


def _diff(repo: Repository, discussion: Discussion) -> str:
    """What a pull request changes; of a merged one, what it changed."""
    history = repo.history
    if discussion.merge_commit:
        [parent] = history.change(discussion.merge_commit).parents
        return history.patch(parent, discussion.merge_commit)
    ours, theirs = history.ref(discussion.base or MAIN), history.ref(discussion.ref)
    return history.patch(history.common_ancestor(ours, theirs) or ours, theirs) if ours and theirs else ""


def _told(call: Call, repo: Repository, discussion: Discussion) -> dict[str, Any]:
    told: dict[str, Any] = {
        "num": discussion.num,
        "author": _author(call, discussion.author),
        "repo": {"name": repo.repo_id, "type": repo.repo_type.value},
        "title": discussion.title,
        "status": discussion.status,
        "createdAt": iso(discussion.created_at),
        "isPullRequest": discussion.is_pull_request,
        "numComments": len(discussion.comments),
        "numReactionUsers": 0,
        "topReactions": [],
        "pinned": discussion.pinned,
    }
    if discussion.is_pull_request:
        merged = {"mergeCommitId": discussion.merge_commit} if discussion.merge_commit else {}
        told["changes"] = {"base": discussion.base, **merged}
    return told


def _author(call: Call, name: str) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "type": "user"}
    if account := call.hub.accounts.named(name):
        told |= {"_id": account.account_id, "avatarUrl": account.avatar_url, "fullname": account.fullname or name}
    return told


def _event(call: Call, event: Event) -> dict[str, Any]:
    data: dict[str, Any]
    if isinstance(event, Comment):
        latest = event.texts[-1]
        raw = "" if event.hidden else latest.raw
        data = {
            "edited": len(event.texts) > 1,
            "hidden": event.hidden,
            "latest": {
                "raw": raw,
                "html": f"<p>{html.escape(raw)}</p>",
                "updatedAt": iso(latest.at),
                "author": _author(call, latest.author),
            },
            "numEdits": len(event.texts) - 1,
            "history": [] if event.hidden else [{"raw": text.raw, "updatedAt": iso(text.at)} for text in event.texts],
            "reactions": [],
        }
    elif isinstance(event, StatusChange):
        data = {"status": event.status}
    elif isinstance(event, TitleChange):
        data = {"from": event.before, "to": event.after}
    else:
        data = {"subject": event.subject, "oid": event.commit_hash}
    author = _author(call, event.author)
    return {"id": event.oid, "type": event.kind, "createdAt": iso(event.at), "author": author, "data": data}
