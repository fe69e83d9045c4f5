"""The large files that a repository holds, and getting rid of them.

Source: contract section 3.5.
"""

from typing import Any

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..paging import limit_of, page
from ..refusals import BadRequest, Forbidden
from ..repository import Repository
from ..routing import Routes
from ..whoami import iso

routes = Routes()


@routes.get("/api/{types}/{repo}/lfs-files")
async def lfs_files(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    named = _names(repo)
    found, headers = page(call, sorted(repo.record.lfs.items(), key=lambda item: item[1].pushed_at), limit_of(call, 50))
    told = []
    for oid, record in found:
        filename, ref = named.get(oid, (None, None))
        each: dict[str, Any] = {"fileOid": oid, "oid": oid, "size": record.size_bytes}
        file = call.hub.cas.store.by_sha256(oid)
        each |= {"xetHash": file.name} if file and call.hub.config.xet else {}
        each |= {"filename": filename or "", "pushedAt": iso(record.pushed_at)}
        each |= {"ref": ref} if ref else {}
        each |= {"pusher": {"user": record.pusher}} if record.pusher else {}
        told.append(each)
    return json_answer(told, headers=headers)


@routes.post("/api/{types}/{repo}/lfs-files/batch")
async def delete_lfs_files(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    deletions = (await call.json()).get("deletions")
    if not isinstance(deletions, dict) or not isinstance(deletions.get("sha"), list):
        raise BadRequest('"deletions.sha" is required')
    gone = {str(oid) for oid in deletions["sha"]} & repo.record.lfs.keys()
    async with call.hub.lock(repo):
        if deletions.get("rewriteHistory"):
            repo.history.rewrite_without(gone)
        repo.record.lfs = {oid: record for oid, record in repo.record.lfs.items() if oid not in gone}
        call.hub.touch(repo)
    call.hub.drop_unnamed(gone)
    return json_answer({"success": True})


@routes.post("/api/{types}/{repo}/lfs-files/duplicate")
async def duplicate_lfs_files(call: Call) -> web.StreamResponse:
    source = call.readable_repo()
    fields = await call.json()
    target_fields, files = fields.get("target"), fields.get("files")
    if not isinstance(target_fields, dict) or not isinstance(files, list):
        raise BadRequest('"target" and "files" are required')
    target = call.named_repo(target_fields.get("type"), str(target_fields.get("name")))
    if not call.hub.rights.may_write(call.caller, target):
        raise Forbidden
    failed = []
    for file in files:
        if not isinstance(file, dict):
            raise BadRequest('"files" must be a list of {sha256, xetHash, filename}')
        oid = str(file.get("sha256"))
        if record := source.record.lfs.get(oid):
            target.record.lfs[oid] = record
        else:
            failed.append({"sha256": oid, "filename": file.get("filename"), "error": "File not found"})
    call.hub.keep(target)
    succeeded = len(files) - len(failed)
    told = {"success": not failed, "processed": len(files), "succeeded": succeeded, "failed": failed}
    return json_answer(told, status=207 if failed else 200)


def _names(repo: Repository) -> dict[str, tuple[str, str]]:
    """For each large file that a ref's newest commit has, one path and ref; main's first."""
    refs = repo.history.refs("refs/")
    found: dict[str, tuple[str, str]] = {}
    for name in sorted(refs, key=lambda name: (name != "heads/main", name)):
        for entry in repo.history.files(refs[name]):
            if entry.pointer:
                found.setdefault(entry.pointer.oid, (entry.path, f"refs/{name}"))
    return found
