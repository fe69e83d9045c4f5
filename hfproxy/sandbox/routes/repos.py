"""Creating, deleting, moving and duplicating repositories, and their settings.

Source: contract section 2.
"""

import base64
import binascii
from datetime import datetime
from typing import Any, get_args

from aiohttp import web

from hfproxy.upstream.refs import BadReference, RepoRef, RepoType

from ..answers import json_answer, text_answer
from ..call import Call
from ..refusals import BadRequest, Conflict
from ..repository import Visibility
from ..routing import Routes
from ..space_settings import named
from .buckets import moved_bucket

routes = Routes()

SDKS = ("gradio", "streamlit", "docker", "static")
LONGEST_DESCRIPTION = 60
_SPACE_FIELDS = ("hardware", "sleepTimeSeconds", "secrets", "variables", "volumes", "storageTier", "template")
_KEPT_SETTINGS = (
    *("discussionsDisabled", "discussionsSorting", "orgMembersGated"),
    *("gatedNotificationsEmail", "gatedNotificationsMode"),
)


@routes.post("/api/repos/create")
async def create(call: Call) -> web.StreamResponse:
    fields = await call.json()
    account = call.hub.rights.check_logged_in(call.caller)
    namespace = str(fields.get("organization") or account.name)
    owner = call.hub.rights.check_namespace(call.caller, namespace, _type(fields.get("type")).value)
    ref = _new_ref(fields.get("type"), owner.name, fields.get("name"))
    if call.hub.repos.find(ref.repo_type, ref.repo_id):
        raise Conflict(f"You already created this {ref.repo_type.value} repo", url=f"{call.base_url}/{ref}")
    repo = call.hub.create_repo(
        ref,
        by=account.name,
        files=_first_files(fields, ref),
        visibility=_visibility(fields, ref.repo_type) or ("private" if owner.private_by_default else "public"),
        space=_space(fields, ref.repo_type, call.hub.now()),
        resource_group=fields.get("resourceGroupId"),
        region=fields.get("region"),
        one_piece_bytes=_one_piece(fields.get("lfsmultipartthresh")),
    )
    return json_answer({"url": f"{call.base_url}/{repo.ref}", "name": repo.repo_id, "id": repo.record.oid})


@routes.delete("/api/repos/delete")
async def delete(call: Call) -> web.StreamResponse:
    fields = await call.json()
    account = call.hub.rights.check_logged_in(call.caller)
    repo_id = f"{fields.get('organization') or account.name}/{fields.get('name')}"
    repo = call.named_repo(_type(fields.get("type")), repo_id)
    call.hub.rights.check_write(call.caller, repo)
    call.hub.delete_repo(repo)
    return text_answer("OK")


@routes.post("/api/repos/move")
async def move(call: Call) -> web.StreamResponse:
    fields = await call.json()
    call.hub.rights.check_logged_in(call.caller)
    if fields.get("type") == "bucket":
        return moved_bucket(call, str(fields.get("fromRepo")), str(fields.get("toRepo")))
    repo_type = _type(fields.get("type"))
    repo = call.named_repo(repo_type, str(fields.get("fromRepo")))
    call.hub.rights.check_write(call.caller, repo)
    namespace, _, name = str(fields.get("toRepo")).rpartition("/")
    target = _new_ref(repo_type, namespace, name)
    owner = call.hub.rights.check_namespace(call.caller, namespace, repo_type.value)
    taken = call.hub.repos.find(repo_type, target.repo_id)
    if taken is not None and taken is not repo:
        raise Conflict(f"A {repo_type.value} repository called {target.repo_id} already exists")
    call.hub.move_repo(repo, owner.name, target.name)
    return json_answer({"success": True, "url": f"{call.base_url}/{repo.ref}"})


@routes.post("/api/{types}/{repo}/duplicate")
async def duplicate(call: Call) -> web.StreamResponse:
    source = call.readable_repo()
    fields = await call.json()
    account = call.hub.rights.check_logged_in(call.caller)
    namespace, _, name = str(fields.get("repository", "")).rpartition("/")
    target = _new_ref(source.repo_type, namespace or account.name, name)
    owner = call.hub.rights.check_namespace(call.caller, target.namespace or "", source.repo_type.value)
    target = RepoRef(source.repo_type, owner.name, target.name)
    if call.hub.repos.find(target.repo_type, target.repo_id):
        raise Conflict(f"You already created this {target.repo_type.value} repo", url=f"{call.base_url}/{target}")
    visibility = _visibility(fields, source.repo_type) or (
        "private" if owner.private_by_default else source.record.visibility
    )
    # As on the Hub, neither secrets nor paid hardware go along.
    kept = {key: source.record.space[key] for key in ("sdk", "variables") if key in source.record.space}
    space = kept | _space_settings(fields, call.hub.now())
    repo = call.hub.duplicate_repo(source, target, by=account.name, visibility=visibility, space=space)
    return json_answer(
        {"url": f"{call.base_url}/{repo.ref}", "name": repo.repo_id, "id": repo.record.oid, "filesCopyPending": False}
    )


@routes.put("/api/{types}/{repo}/settings")
async def change_settings(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    fields = await call.json()
    changed: dict[str, Any] = {}
    visibility = _visibility(fields, repo.repo_type)
    if visibility:
        repo.record.visibility = visibility
        changed |= {"visibility": visibility, "private": repo.is_private}
    if "gated" in fields:
        if fields["gated"] not in (False, "auto", "manual"):
            raise BadRequest('"gated" must be one of [false, "auto", "manual"]')
        repo.record.gated = changed["gated"] = fields["gated"]
    kept = {key: fields[key] for key in _KEPT_SETTINGS if key in fields}
    repo.record.settings |= kept
    repo.record.updated_at = call.hub.now()
    call.hub.keep(repo)
    told: dict[str, Any] = {"updatedConfig": {"private": repo.is_private}} if visibility else {}
    call.hub.announce(repo, "update", "repo.config", **told)
    return json_answer(changed | kept)


@routes.get("/api/{types}/{repo}/auth-check")
async def auth_check(call: Call) -> web.StreamResponse:
    call.readable_repo()
    return text_answer("OK")


@routes.get("/api/{types}/{repo}/auth-check/write")
async def auth_check_write(call: Call) -> web.StreamResponse:
    call.hub.rights.check_gate(call.caller, call.writable_repo())
    return text_answer("OK")


def _one_piece(given: object) -> int | None:
    """The size up to which this repository takes large files in one piece, by which clients are tested."""
    if given is not None and (type(given) is not int or given < 1):
        raise BadRequest('"lfsmultipartthresh" must be a number of bytes')
    return given


def _type(text: Any) -> RepoType:
    """A type as bodies name it: the singular, models when nothing is said. Raises BadRequest."""
    try:
        return RepoType(text or "model")
    except ValueError:
        raise BadRequest(f'"type" must be one of [{", ".join(RepoType)}]') from None


def _new_ref(repo_type: Any, namespace: str, name: Any) -> RepoRef:
    if not isinstance(name, str) or not name:
        raise BadRequest('"name" is required')
    try:
        return RepoRef.parse(_type(repo_type), f"{namespace}/{name}")
    except BadReference as error:
        raise BadRequest(f"Invalid repo name: {namespace}/{name} - {error}") from None


def _visibility(fields: dict[str, Any], repo_type: RepoType) -> Visibility | None:
    """What a body says of visibility, in its old or its new way; None when it says nothing. Raises BadRequest."""
    asked, private = fields.get("visibility"), fields.get("private")
    if asked is not None and private is not None:
        raise BadRequest('"private" and "visibility" cannot be used together')
    if private is not None and not isinstance(private, bool):
        raise BadRequest('"private" must be a boolean')
    if private is not None:
        return "private" if private else "public"
    if asked is None:
        return None
    if asked not in get_args(Visibility) or (asked == "protected" and repo_type is not RepoType.SPACE):
        raise BadRequest(f'Invalid visibility "{asked}" for a {repo_type.value}')
    found: Visibility = asked
    return found


def _space(fields: dict[str, Any], repo_type: RepoType, now: datetime) -> dict[str, Any]:
    if repo_type is not RepoType.SPACE:
        return {}
    sdk = fields.get("sdk")
    if sdk not in SDKS:
        raise BadRequest(f'"sdk" must be one of [{", ".join(SDKS)}]')
    return {"sdk": sdk, **_space_settings(fields, now)}


def _space_settings(fields: dict[str, Any], now: datetime) -> dict[str, Any]:
    given = {key: fields[key] for key in _SPACE_FIELDS if fields.get(key) is not None}
    return given | {kind: named(given[kind], kind, now) for kind in ("secrets", "variables") if given.get(kind)}


def _first_files(fields: dict[str, Any], ref: RepoRef) -> dict[str, bytes]:
    """What the first commit holds beside `.gitattributes`: a card where there is something to say, and given files."""
    card: list[str] = []
    if ref.repo_type is RepoType.SPACE:
        card += [f"title: {ref.name}", f"sdk: {fields.get('sdk')}"]
        card += [f"sdk_version: {fields['sdkVersion']}"] if fields.get("sdkVersion") else []
    card += [f"{key}: {fields[key]}" for key in ("license", "license_name", "license_link") if fields.get(key)]
    if description := fields.get("short_description"):
        if not isinstance(description, str) or len(description) > LONGEST_DESCRIPTION:
            raise BadRequest(f'"short_description" length must be less than or equal to {LONGEST_DESCRIPTION}')
        card.append(f"short_description: {description}")
    files = {"README.md": "\n".join(["---", *card, "---", ""]).encode()} if card else {}
    given = fields.get("files") or []
    for file in given if isinstance(given, list) else [given]:
        try:
            files[str(file["path"])] = (
                base64.b64decode(file["content"]) if file.get("encoding") == "base64" else file["content"].encode()
            )
        except (KeyError, TypeError, AttributeError, binascii.Error):
            raise BadRequest('"files" must be a list of {path, content, encoding}') from None
    return files
