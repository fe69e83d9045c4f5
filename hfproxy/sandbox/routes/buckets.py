"""Buckets themselves: making, listing, renaming and deleting them. What is in them is in `bucket_files.py`.

Source: contract section 6 (buckets); client 2.4 `hf_api.py`.
"""

from typing import Any, Literal

from aiohttp import web

from hfproxy.upstream.refs import BadReference, check_name

from ..answers import json_answer
from ..bucketed import Bucket
from ..call import Call
from ..paging import limit_of, page
from ..refusals import BadRequest, Conflict, Moved, NotLoggedIn, Refusal
from ..routing import Routes, split
from ..whoami import iso

routes = Routes()

ME = "me"


@routes.get("/api/buckets/{namespace}")
async def listed(call: Call) -> web.StreamResponse:
    """Those of one account that the caller may know of, the newest first."""
    owner = call.hub.accounts.named(_namespace(call, call.params["namespace"]))
    if owner is None:
        raise Refusal("Namespace not found", status=404)
    search = (call.value("search") or "").casefold()
    found = [
        bucket
        for bucket in reversed(list(call.hub.buckets))
        if bucket.owner == owner.name and search in bucket.name.casefold()
        if call.hub.rights.sees(call.caller, bucket)
    ]
    shown, headers = page(call, found, limit_of(call, 100))
    return json_answer([_told(bucket) for bucket in shown], headers=headers)


@routes.post("/api/buckets/{namespace}/{name}")
async def create(call: Call) -> web.StreamResponse:
    fields = await call.json()
    call.hub.rights.check_logged_in(call.caller)
    owner = call.hub.rights.check_namespace(call.caller, _namespace(call, call.params["namespace"]), "bucket")
    name = _checked(call.params["name"])
    bucket_id = f"{owner.name}/{name}"
    if taken := call.hub.buckets.find(bucket_id):
        raise Conflict("You already created this bucket", url=_url(call, taken), id=taken.oid)
    now = call.hub.now()
    default: Literal["public", "private"] = "private" if owner.private_by_default else "public"
    bucket = Bucket(
        namespace=owner.name,
        name=name,
        visibility=_visibility(fields) or default,
        created_at=now,
        updated_at=now,
        region=_text(fields, "region"),
        resource_group=_text(fields, "resourceGroupId"),
    )
    call.hub.buckets.add(bucket)
    call.hub.keep_buckets()
    return json_answer({"url": _url(call, bucket), "name": bucket.repo_id, "id": bucket.oid})


@routes.get("/api/buckets/{namespace}/{name}")
async def info(call: Call) -> web.StreamResponse:
    return json_answer(_told(visible_bucket(call)))


@routes.delete("/api/buckets/{namespace}/{name}")
async def delete(call: Call) -> web.StreamResponse:
    call.hub.delete_bucket(writable_bucket(call))
    return json_answer({})


@routes.put("/api/buckets/{namespace}/{name}/settings")
async def change_settings(call: Call) -> web.StreamResponse:
    bucket = writable_bucket(call)
    visibility = _visibility(await call.json())
    if visibility is not None:
        bucket.visibility = visibility
        bucket.updated_at = call.hub.now()
        call.hub.keep_buckets()
        call.hub.pulses.beat(bucket.oid)  # who follows it may not see it any more
    return json_answer({"private": bucket.is_private, "visibility": bucket.visibility})


def moved_bucket(call: Call, from_id: str, to_id: str) -> web.StreamResponse:
    """`POST /api/repos/move` for a bucket. Raises Refusal."""
    bucket = call.hub.rights.check_visible(call.caller, call.hub.buckets.find(from_id))
    call.hub.rights.check_write(call.caller, bucket)
    namespace, _, name = to_id.partition("/")
    owner = call.hub.rights.check_namespace(call.caller, namespace, "bucket")
    name = _checked(name)
    taken = call.hub.buckets.find(f"{owner.name}/{name}")
    if taken is not None and taken is not bucket:
        raise Conflict(f"A bucket called {taken.repo_id} already exists")
    call.hub.move_bucket(bucket, owner.name, name)
    return json_answer({"success": True, "url": _url(call, bucket)})


def visible_bucket(call: Call) -> Bucket:
    """The bucket of the path, if the caller may know of it. Raises Moved, NotLoggedIn, RepoMissing."""
    namespace = _namespace(call, call.params["namespace"])
    bucket_id = f"{namespace}/{call.params['name']}"
    renamed = call.hub.buckets.renamed(bucket_id)
    if renamed is not None and call.hub.rights.sees(call.caller, renamed):
        raise Moved(_path_under(call, renamed))
    return call.hub.rights.check_visible(call.caller, call.hub.buckets.find(bucket_id))


def writable_bucket(call: Call) -> Bucket:
    """The same, if the caller may change it. Raises Forbidden too."""
    if call.caller.account is None:
        raise NotLoggedIn
    bucket = visible_bucket(call)
    call.hub.rights.check_write(call.caller, bucket)
    return bucket


def _namespace(call: Call, namespace: str) -> str:
    """The account that is meant. Raises NotLoggedIn for `me` of nobody."""
    return call.hub.rights.check_logged_in(call.caller).name if namespace == ME else namespace


def _path_under(call: Call, bucket: Bucket) -> str:
    segments = list(split(call.raw_path))
    start = segments.index("buckets") + 1
    segments[start : start + 2] = [bucket.namespace, bucket.name]
    return "/" + "/".join(segments) + (f"?{call.raw_query}" if call.raw_query else "")


def _checked(name: str) -> str:
    try:
        return check_name(name)
    except BadReference as error:
        raise BadRequest(f"Invalid bucket name: {error}") from None


def _visibility(fields: dict[str, Any]) -> Literal["public", "private"] | None:
    """What a body says, in either of its two ways; None when it says nothing. Raises BadRequest."""
    private, asked = fields.get("private"), fields.get("visibility")
    if private is not None:
        if not isinstance(private, bool):
            raise BadRequest('"private" must be a boolean')
        return "private" if private else "public"
    if asked is None or asked == "public" or asked == "private":
        found: Literal["public", "private"] | None = asked
        return found
    raise BadRequest('"visibility" must be one of [public, private]')


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f'"{name}" must be a string')
    return value


def _url(call: Call, bucket: Bucket) -> str:
    return f"{call.base_url}/buckets/{bucket.repo_id}"


def _told(bucket: Bucket) -> dict[str, Any]:
    return {
        "_id": bucket.oid,
        "id": bucket.repo_id,
        "author": bucket.namespace,
        "private": bucket.is_private,
        "visibility": bucket.visibility,
        "createdAt": iso(bucket.created_at),
        "updatedAt": iso(bucket.updated_at),
        "size": bucket.size_bytes,
        "totalFiles": len(bucket.files),
        "repoType": "bucket",
        "cdnRegions": [],
    }
