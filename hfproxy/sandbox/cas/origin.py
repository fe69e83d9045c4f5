"""The store's own origin: how files are put together, which chunks there are, and uploads. Bytes come from the CDN.

Every call bears a token that the Hub gave for one repository; the Hub's own tokens mean nothing here.
Sources: contract section 5.3; xet-core `openapi/cas.openapi.yaml`; decision 0033 for what no document says.
"""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from aiohttp import web

from hfproxy.upstream.headers import REQUEST_ID
from hfproxy.upstream.xet_hashes import unspelled

from ..answers import preflight
from ..record import Asked
from ..refusals import Refusal
from ..troubled import NoAnswer, troubled
from .reconstructing import BeyondTheEnd, ByteRange, reconstruct, told_v1, told_v2
from .shards import LARGEST_SHARD_BYTES, BadShard
from .tokens import BadToken, Grant, Permission
from .transfer import granted_url, xorb_url
from .xorbs import BadXorb

if TYPE_CHECKING:
    from ..bucketed import Bucket
    from ..hub import Hub
    from ..repository import Repository

_RANGE: Final = re.compile(r"bytes=(\d{1,19})-(\d{1,19})")
_PREFIXES: Final = frozenset({"default", "default-merkledb"})


def cas_app(hub: "Hub") -> web.Application:
    """The store of a Hub as an application."""
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", Origin(hub).answer)
    app.on_response_prepare.append(_mark)
    return app


async def _mark(_: web.Request, answer: web.StreamResponse) -> None:
    """What every answer of the store has."""
    answer.headers.setdefault(REQUEST_ID, uuid4().hex)
    answer.headers.setdefault("Access-Control-Allow-Origin", "*")


class Origin:
    """Takes requests to the store."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._cas = hub.cas

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raw_path, _, raw_query = request.raw_path.partition("?")
        asked = Asked("cas", request.method, raw_path, raw_query, request.headers)
        self._hub.asked.add(asked)
        try:
            answer = await troubled(self._hub.troubles, request, "cas", lambda: self._told(request, raw_path))
        except Refusal as refusal:
            answer = _refused(refusal)
        except ConnectionResetError:
            answer = NoAnswer()  # the caller has left, in the middle of an upload perhaps
        asked.status = answer.status
        return answer

    async def _told(self, request: web.Request, raw_path: str) -> web.StreamResponse:
        try:
            return await self._handle(request, raw_path.strip("/").split("/"))
        except BadToken as error:
            return _refused(Refusal(str(error), status=401))
        except (BadXorb, BadShard) as error:
            return _refused(Refusal(str(error), status=400))
        except Refusal as refusal:
            return _refused(refusal)

    async def _handle(self, request: web.Request, segments: list[str]) -> web.StreamResponse:
        match request.method, segments:
            case "OPTIONS", _:
                return preflight(request)
            case "POST", ["v1", "telemetry"]:
                self._count("telemetry")
                return web.json_response({})
            case "GET", ["v1", "reconstructions", name]:
                return self._reconstruction(request, name, told_v1)
            case "GET", ["v2", "reconstructions", name]:
                return self._reconstruction(request, name, told_v2)
            case "GET", ["v1", "chunks", prefix, name] if prefix in _PREFIXES:
                return self._chunk(request, name)
            case "HEAD", ["v1", "files", name]:
                return self._file(request, name)
            case "HEAD", ["v1", "xorbs", "default", name]:
                return self._xorb(request, name)
            case "POST", ["v1", "xorbs", "default", name]:
                return await self._take_xorb(request, name)
            case "POST", ["v1", "xorb-grants", "default", name]:
                return await self._grant(request, name)
            case "POST", ["v1", "xorb-commits", "default", name, "grant", grant_id]:
                return await self._commit(request, name, grant_id)
            case "POST", ["v1", "shards"]:
                return await self._take_shard(request)
            case "POST", ["v2", "shards"]:
                return await self._take_shard_telling(request)
        raise Refusal("Not found", status=404)

    # Reading

    def _reconstruction(self, request: web.Request, name: str, told: Callable[..., dict[str, Any]]) -> web.Response:
        self._count("reconstruction")
        grant, repo = self._allowed(request, "read")
        file = self._cas.store.file(_hash(name))
        if file is None or not self._cas.may_read(repo, grant, file):
            raise Refusal("File not found", status=404)
        try:
            found = reconstruct(self._cas.store, file, _asked_range(request))
        except BeyondTheEnd:
            raise Refusal("Range not satisfiable", status=416) from None
        answer = told(self._cas.store, found, lambda xorb, ranges: xorb_url(self._hub, xorb, ranges))
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    def _chunk(self, request: web.Request, name: str) -> web.Response:
        self._count("chunk")
        self._allowed(request, "read")
        shard = self._cas.query(_hash(name))
        if shard is None:
            raise Refusal("Chunk not found", status=404)
        return web.Response(body=shard, headers={"Content-Type": "application/octet-stream"})

    def _file(self, request: web.Request, name: str) -> web.Response:
        grant, repo = self._allowed(request, "read")
        file = self._cas.store.file(_hash(name))
        if file is None or not self._cas.may_read(repo, grant, file):
            raise Refusal("File not found", status=404)
        return web.Response(headers={"Content-Length": str(file.size_bytes)})

    def _xorb(self, request: web.Request, name: str) -> web.Response:
        self._allowed(request, "read")
        xorb = self._cas.store.xorb(_hash(name))
        if xorb is None:
            raise Refusal("Xorb not found", status=404)
        return web.Response(headers={"Content-Length": str(xorb.packed_bytes)})

    # Writing

    async def _take_xorb(self, request: web.Request, name: str) -> web.Response:
        self._count("xorb upload")
        self._allowed(request, "write")
        inserted = await self._cas.receive_xorb(_hash(name), request.content.iter_any())
        return web.json_response({"was_inserted": inserted})

    async def _grant(self, request: web.Request, name: str) -> web.Response:
        self._count("grant")
        grant, _ = self._allowed(request, "write")
        size_bytes = (await _json(request)).get("length")
        if type(size_bytes) is not int:
            raise Refusal('"length" is required', status=400)
        announced = self._cas.announce(_hash(name), size_bytes, grant.repo_oid)
        if announced is None:
            return web.json_response({})
        told = {"id": announced.grant_id, "method": "PUT", "url": granted_url(self._hub, announced), "headers": {}}
        return web.json_response(told, status=201)

    async def _commit(self, request: web.Request, name: str, grant_id: str) -> web.Response:
        self._count("commit")
        grant, _ = self._allowed(request, "write")
        hash_ = _hash(name)
        announced = self._cas.announced(grant_id)
        if (
            announced is None
            or announced.path is None
            or (announced.hash, announced.repo_oid) != (hash_, grant.repo_oid)
        ):
            raise Refusal("Nothing was uploaded for this grant", status=404)
        await self._cas.commit_announced(announced)
        return web.json_response({})

    async def _take_shard(self, request: web.Request) -> web.Response:
        self._count("shard")
        grant, _ = self._allowed(request, "write")
        async for _ in self._cas.receive_shard(await _body(request, LARGEST_SHARD_BYTES), grant):
            pass
        return web.json_response({"result": 1})

    async def _take_shard_telling(self, request: web.Request) -> web.StreamResponse:
        """A line of JSON for each step: the status goes before anything is known, so the last line has the outcome."""
        self._count("shard")
        grant, _ = self._allowed(request, "write")
        shard = await _body(request, LARGEST_SHARD_BYTES)
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        await answer.prepare(request)
        try:
            async for verified, total in self._cas.receive_shard(shard, grant):
                await answer.write(_line(type="validating", verified=verified, total=total))
            await answer.write(_line(type="committing", stage="syncing"))
            await answer.write(_line(type="result", result=1))
        except BadShard as error:
            await answer.write(_line(type="error", message=str(error), retryable=False))
        await answer.write_eof()
        return answer

    def _allowed(self, request: web.Request, permission: Permission) -> "tuple[Grant, Repository | Bucket]":
        """What the token grants, and the repository or bucket it is for. Raises BadToken, Refusal."""
        grant = self._cas.tokens.read(request.headers.get("Authorization"))
        if permission == "write" and grant.permission != "write":
            raise Refusal("The token does not permit writing", status=403)
        repo = self._hub.holder(grant.repo_oid)
        if repo is None:
            raise Refusal("The repository is gone", status=404)
        return grant, repo

    def _count(self, what: str) -> None:
        self._cas.traffic.requests[what] += 1


def _hash(name: str) -> bytes:
    try:
        return unspelled(name)
    except ValueError:
        raise Refusal("Malformed hash", status=400) from None


def _asked_range(request: web.Request) -> ByteRange | None:
    header = request.headers.get("Range")
    if header is None:
        return None
    found = _RANGE.fullmatch(header)
    if found is None:
        raise Refusal("Malformed range", status=400)
    return int(found[1]), int(found[2])


async def _body(request: web.Request, at_most_bytes: int) -> bytes:
    whole = bytearray()
    async for chunk in request.content.iter_any():
        whole += chunk
        if len(whole) > at_most_bytes:
            raise Refusal("Payload too large", status=413)
    return bytes(whole)


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        parsed = json.loads(await _body(request, 64 * 1024))
    except ValueError:
        raise Refusal("Invalid JSON", status=400) from None
    if not isinstance(parsed, dict):
        raise Refusal("The body must be a JSON object", status=400)
    return parsed


def _line(**event: object) -> bytes:
    return json.dumps(event).encode() + b"\n"


def _refused(refusal: Refusal) -> web.Response:
    return web.json_response({"error": refusal.message}, status=refusal.status, headers=refusal.headers)
