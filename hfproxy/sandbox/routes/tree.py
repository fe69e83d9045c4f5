"""What lies in a repository at a revision.

Source: contract sections 3.3 and 3.4. All of it stays open in a gated repository.
"""

from typing import Any

from aiohttp import web

from ..answers import json_answer
from ..call import TRUE, Call
from ..entries import described
from ..paging import limit_of, page
from ..refusals import BadRequest, EntryMissing, Refusal
from ..routing import Routes
from ..xet import offered_hashes

routes = Routes()

EXPANDED_PAGE = 50
MOST_PATHS = 1000


@routes.get("/api/{types}/{repo}/tree/{revision}", "/api/{types}/{repo}/tree/{revision}/{path:rest}")
async def tree(call: Call) -> web.StreamResponse:
    repo = call.visible_repo()
    commit_hash = repo.commit_hash(call.params["revision"])
    path = call.params.get("path", "").strip("/")
    folder = repo.history.entry(commit_hash, path)
    if folder is None or not folder.is_folder:
        raise EntryMissing(commit_hash, f"{path} does not exist on {call.params['revision']!r}")
    expand = call.flag("expand")
    limit = limit_of(call, EXPANDED_PAGE if expand else 1000)
    found, headers = page(call, list(repo.history.walk(commit_hash, path, recursive=call.flag("recursive"))), limit)
    redacted = not call.hub.rights.passes_gate(call.caller, repo)
    return json_answer(
        described(
            repo,
            commit_hash,
            found,
            expand=expand,
            redacted=redacted,
            xet_hashes=await offered_hashes(call.hub, found),
        ),
        headers={**headers, "X-Repo-Commit": commit_hash},
    )


@routes.post("/api/{types}/{repo}/paths-info/{revision}", "/api/{types}/{repo}/paths-info")
async def paths_info(call: Call) -> web.StreamResponse:
    repo = call.visible_repo()
    commit_hash = repo.commit_hash(call.params.get("revision"))
    fields = await call.form_or_json()
    paths = _texts(fields.get("paths"))
    if len(paths) > MOST_PATHS:
        raise Refusal(f"Too many paths: at most {MOST_PATHS}", status=413)
    asked = [repo.history.entry(commit_hash, path.strip("/")) for path in dict.fromkeys(paths)]
    found = [entry for entry in asked if entry and entry.path]
    redacted = not call.hub.rights.passes_gate(call.caller, repo)
    return json_answer(
        described(
            repo,
            commit_hash,
            found,
            expand=_is_true(fields.get("expand")),
            redacted=redacted,
            xet_hashes=await offered_hashes(call.hub, found),
        )
    )


@routes.get("/api/{types}/{repo}/treesize/{revision}", "/api/{types}/{repo}/treesize/{revision}/{path:rest}")
async def treesize(call: Call) -> web.StreamResponse:
    repo = call.visible_repo()
    commit_hash = repo.commit_hash(call.params["revision"])
    path = call.params.get("path", "").strip("/")
    entry = repo.history.entry(commit_hash, path)
    if entry is None:
        raise EntryMissing(commit_hash)
    files = repo.history.walk(commit_hash, path) if entry.is_folder else [entry]
    return json_answer({"path": path, "size": sum(file.size_bytes for file in files)})


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        raise BadRequest('"paths" is required')
    return values


def _is_true(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(each is True or (isinstance(each, str) and each in TRUE) for each in values)
