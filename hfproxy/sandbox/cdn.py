"""The second origin, where large files' bytes come from and go to: an object store behind a CDN.

It knows no accounts: a signed address is the permission, and whoever sends credentials along is refused, as object
stores do. Its etag of an object is its own (contract section 4.2 B).
"""

import hashlib
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from .answers import preflight
from .cas.transfer import GRANTED, XORBS, send_xorb, take_xorb
from .cdn_refusals import CdnRefusal
from .hub import Hub
from .record import Asked
from .refusals import Refusal
from .sending import Content, send
from .signing import Expired, NotSigned
from .troubled import NoAnswer, troubled
from .uploads import BadUpload

_OBJECTS: Final = "/repos"
_UPLOADS: Final = "/incoming"


def download_url(hub: Hub, repo_oid: str, oid: str, disposition: str) -> str:
    """A signed address of an object's bytes."""
    query = {"response-content-disposition": disposition, "response-content-type": "application/octet-stream"}
    return hub.cdn_url + hub.signer.sign("GET", f"{_OBJECTS}/{repo_oid}/{oid}", query)


def upload_url(hub: Hub, upload_id: str, oid: str, number: int) -> str:
    """A signed address that takes one part of an upload, or the whole as part 1."""
    query = {"uploadId": upload_id, "partNumber": str(number)}
    return hub.cdn_url + hub.signer.sign("PUT", f"{_UPLOADS}/{oid}", query)


def cdn_etag(hub: Hub, oid: str) -> str:
    """What the CDN calls an object: its Xet hash, or 64 other hex digits that are not its sha256.

    A trap for those who do not look.
    """
    if file := hub.cas.store.by_sha256(oid):
        return f'"{file.name}"'
    return f'"{hashlib.sha256(f"cdn {oid}".encode()).hexdigest()}"'


def cdn_app(hub: Hub) -> web.Application:
    """The CDN of a Hub."""
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", Cdn(hub).answer)
    return app


class Cdn:
    """Takes requests to signed addresses."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raw_path, _, raw_query = request.raw_path.partition("?")
        asked = Asked("cdn", request.method, raw_path, raw_query, request.headers)
        self._hub.asked.add(asked)
        try:
            answer = await troubled(
                self._hub.troubles, request, "cdn", lambda: self._told(request, raw_path, raw_query)
            )
        except Refusal as refusal:
            answer = CdnRefusal(refusal.status, "Trouble", refusal.message).answer()
            answer.headers.update(refusal.headers)
        except ConnectionResetError:
            answer = NoAnswer()  # the caller has left
        asked.status = answer.status
        return answer

    async def _told(self, request: web.Request, raw_path: str, raw_query: str) -> web.StreamResponse:
        try:
            return await self._handle(request, raw_path, raw_query)
        except CdnRefusal as refusal:
            return refusal.answer()

    async def _handle(self, request: web.Request, raw_path: str, raw_query: str) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return preflight(request)
        if "Authorization" in request.headers:
            raise CdnRefusal(400, "InvalidArgument", "Only one auth mechanism allowed")
        method = "GET" if request.method == "HEAD" else request.method
        try:
            query = self._hub.signer.check(method, raw_path, raw_query)
        except NotSigned:
            raise CdnRefusal(403, "SignatureDoesNotMatch", "The request signature does not match") from None
        except Expired:
            raise CdnRefusal(403, "AccessDenied", "Request has expired") from None
        if raw_path.startswith(XORBS):
            return await send_xorb(self._hub, request, raw_path, query)
        if raw_path.startswith(GRANTED):
            return await take_xorb(self._hub, request, raw_path)
        if method == "GET":
            return await self._download(request, raw_path, query)
        return await self._upload(request, query)

    async def _download(self, request: web.Request, raw_path: str, query: dict[str, str]) -> web.StreamResponse:
        oid = unquote(raw_path.rpartition("/")[2])
        size_bytes = self._hub.objects.size_bytes(oid)
        if size_bytes is None:
            raise CdnRefusal(404, "NoSuchKey", "The specified key does not exist.")
        objects, named = self._hub.objects, (cdn_etag(self._hub, oid), query["response-content-type"], size_bytes)
        whole = objects.is_whole(oid)
        content = (
            Content(*named, path=objects.path(oid)) if whole else Content(*named, opened=lambda: objects.open(oid))
        )
        headers = {
            "Content-Disposition": query["response-content-disposition"],
            "Cache-Control": "public, max-age=31536000",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "*",
        }
        traffic = self._hub.cas.traffic
        traffic.requests["plain"] += 1
        answer = await send(request, content, headers, several_ranges=True)
        if request.method == "GET":
            traffic.plain_bytes_out += answer.content_length or 0
        return answer

    async def _upload(self, request: web.Request, query: dict[str, str]) -> web.StreamResponse:
        upload = self._hub.uploads.find(query["uploadId"])
        if upload is None:
            raise CdnRefusal(404, "NoSuchUpload", "The specified upload does not exist.")
        try:
            chunks = request.content.iter_any()
            etag = await self._hub.uploads.receive(upload, int(query["partNumber"]), chunks)
        except BadUpload as error:
            raise CdnRefusal(400, "InvalidRequest", str(error)) from None
        return web.Response(headers={"ETag": f'"{etag}"', "Access-Control-Expose-Headers": "ETag"})
