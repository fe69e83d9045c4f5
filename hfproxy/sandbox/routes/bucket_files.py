"""What is in a bucket: listing it, changing it in batches, and its files' bytes.

Source: contract section 6 (buckets); client 2.4 `hf_api.py`. Bytes go up by Xet alone; they come down from the CDN too.
"""

from typing import Any

from aiohttp import web

from hfproxy.upstream import headers
from hfproxy.upstream.xet_hashes import unspelled

from ..answers import json_answer
from ..bucket_batches import carry_out, read_operations
from ..bucketed import Bucket, BucketFile, level
from ..call import TRUE, Call
from ..cas.store import XetFile
from ..cdn import download_url
from ..paging import limit_of, page
from ..refusals import BadRequest, Refusal
from ..routing import Routes
from ..whoami import iso
from ..xet import FILEINFO, Offer
from .buckets import visible_bucket, writable_bucket
from .files import disposition
from .xet import token_answer

routes = Routes()

LONGEST_PAGE = 5000
MOST_PATHS = 1000


@routes.get("/api/buckets/{namespace}/{name}/tree", "/api/buckets/{namespace}/{name}/tree/{prefix:rest}")
async def tree(call: Call) -> web.StreamResponse:
    """All files under a prefix, or with `recursive=false` what is one step below it."""
    bucket = visible_bucket(call)
    prefix = call.params.get("prefix", "")
    files = bucket.under(prefix)
    recursive = (call.value("recursive") or "true") in TRUE
    found = files if recursive else level(files, prefix)
    shown, more = page(call, found, limit_of(call, 1000, longest=LONGEST_PAGE))
    return json_answer([_told(entry) for entry in shown], headers=more)


@routes.post("/api/buckets/{namespace}/{name}/paths-info")
async def paths_info(call: Call) -> web.StreamResponse:
    """Of each path that is a file's; of others nothing is said."""
    bucket = visible_bucket(call)
    paths = (await call.json()).get("paths")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise BadRequest('"paths" is required')
    if len(paths) > MOST_PATHS:
        raise Refusal(f"Too many paths: at most {MOST_PATHS}", status=413)
    return json_answer([_told(bucket.files[path]) for path in dict.fromkeys(paths) if path in bucket.files])


@routes.post("/api/buckets/{namespace}/{name}/batch")
async def batch(call: Call) -> web.StreamResponse:
    bucket = writable_bucket(call)
    operations = read_operations(await call.body())
    before, failed = dict(bucket.files), []
    for operation in operations:
        try:
            carry_out(call, bucket, operation)
        except Refusal as refusal:
            failed.append({"path": operation.path, "error": refusal.message})
    succeeded = len(operations) - len(failed)
    if succeeded:
        bucket.updated_at = call.hub.now()
        call.hub.keep_buckets()
        call.hub.bucket_feeds.note(bucket, before, bucket.updated_at)
        call.hub.pulses.beat(bucket.oid)
    told = {"success": not failed, "processed": len(operations), "succeeded": succeeded, "failed": failed}
    return json_answer(told, status=422 if failed and not succeeded else 200)


@routes.get("/api/buckets/{namespace}/{name}/xet-read-token")
async def read_token(call: Call) -> web.StreamResponse:
    return token_answer(call, visible_bucket(call).oid, "", "read")


@routes.get("/api/buckets/{namespace}/{name}/xet-write-token")
async def write_token(call: Call) -> web.StreamResponse:
    return token_answer(call, writable_bucket(call).oid, "", "write")


@routes.get("/buckets/{namespace}/{name}/resolve/{path:rest}")
async def resolve(call: Call) -> web.StreamResponse:
    """A file's description to HEAD, with the length of its content; the way to its bytes to GET."""
    bucket = visible_bucket(call)
    file, content = _file(call, bucket)
    token_url = f"{call.base_url}/api/buckets/{bucket.repo_id}/xet-read-token"
    offer = Offer(call.hub, token_url, content)
    if call.hub.config.xet and FILEINFO in call.request.headers.get("Accept", ""):
        return json_answer(offer.fileinfo(), headers=offer.fileinfo_headers())
    etag = f'"{file.xet_hash}"'
    told = {
        **(offer.headers() if call.hub.config.xet else {}),
        headers.LINKED_SIZE: str(file.size_bytes),
        headers.LINKED_ETAG: etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
    }
    if call.request.method == "HEAD":
        answer = web.StreamResponse(headers={**told, "ETag": etag, "Content-Type": _content_type(file)})
        answer.content_length = file.size_bytes
        await answer.prepare(call.request)
        return answer
    name = disposition(file.path, attached=call.flag("download"))
    location = download_url(call.hub, bucket.oid, content.sha256, name)
    return web.Response(status=302, text=f"Found. Redirecting to {location}", headers={**told, "Location": location})


def _file(call: Call, bucket: Bucket) -> tuple[BucketFile, XetFile]:
    file = bucket.files.get(call.params["path"])
    content = call.hub.cas.store.file(unspelled(file.xet_hash)) if file else None
    if file is None or content is None:
        raise Refusal("Entry not found", status=404, code="EntryNotFound")
    return file, content


def _content_type(file: BucketFile) -> str:
    """Nothing that a browser would run, whatever the uploader says it is."""
    told = file.content_type or ""
    return told if told.startswith(("image/", "audio/", "video/")) else "application/octet-stream"


def _told(entry: BucketFile | tuple[str, Any]) -> dict[str, Any]:
    if isinstance(entry, tuple):
        path, uploaded_at = entry
        return {"type": "directory", "path": path, "uploadedAt": iso(uploaded_at)}
    return {
        "type": "file",
        "path": entry.path,
        "size": entry.size_bytes,
        "xetHash": entry.xet_hash,
        "mtime": iso(entry.mtime),
        "uploadedAt": iso(entry.uploaded_at),
        **({"contentType": entry.content_type} if entry.content_type else {}),
    }
