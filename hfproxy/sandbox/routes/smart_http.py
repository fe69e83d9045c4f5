"""Git over HTTP: clone, fetch and push, with and without `.git` behind the id.

Source: contract section 6.6; git's documentation, gitprotocol-http.
"""

import asyncio
from tempfile import SpooledTemporaryFile
from typing import IO

from aiohttp import web

from ..call import Call
from ..git_services import FETCH, PUSH, NotGit, advertise, fetch, push
from ..refusals import BadRequest, NotLoggedIn, Refusal
from ..repository import Repository
from ..routing import Routes

routes = Routes()

CHALLENGE = 'Basic realm="Authentication required", charset="UTF-8"'
_IN_MEMORY_BYTES = 8 * 1024 * 1024
_READ_BYTES = 256 * 1024
_UNCACHED = {"Cache-Control": "no-cache"}


@routes.get("/{web}/{repo.git}/info/refs")
async def refs(call: Call) -> web.StreamResponse:
    service = call.value("service")
    if service not in {FETCH, PUSH}:
        raise BadRequest("Ask with git's smart protocol: ?service=git-upload-pack")
    repo = _repo(call, service)
    told = bytearray()
    async with call.hub.lock(repo):
        await asyncio.to_thread(advertise, repo.history, service, told.extend)
    return web.Response(
        body=bytes(told), headers={"Content-Type": f"application/x-{service}-advertisement", **_UNCACHED}
    )


@routes.post(f"/{{web}}/{{repo.git}}/{FETCH}")
async def upload_pack(call: Call) -> web.StreamResponse:
    repo = _repo(call, FETCH)
    with _spool() as asked, _spool() as told:
        await _receive(call, asked)
        async with call.hub.lock(repo):
            try:
                await asyncio.to_thread(fetch, repo.history, asked, told.write)
            except NotGit as error:
                raise BadRequest(str(error)) from None
        return await _send(call, told, FETCH)


@routes.post(f"/{{web}}/{{repo.git}}/{PUSH}")
async def receive_pack(call: Call) -> web.StreamResponse:
    repo = _repo(call, PUSH)
    with _spool() as asked, _spool() as told:
        await _receive(call, asked)
        async with call.hub.lock(repo):
            try:
                moved = await asyncio.to_thread(
                    push, repo.history, asked, told.write, lambda oid, size: _has_object(call, repo, oid, size)
                )
            except NotGit as error:
                raise BadRequest(str(error)) from None
            if moved:
                call.hub.touch(repo)
        return await _send(call, told, PUSH)


def _repo(call: Call, service: str) -> Repository:
    """The repository, if the caller may fetch or push; git asks its user for a token only if told so by Basic.

    git follows no redirect of a POST, and has forgotten one that came after it was asked for a token (git `http.c`,
    `http_request_reauth`); yet renamed repositories are fetched from and pushed to (hub-docs, repositories-settings).
    """
    call.follows_names = call.request.method == "POST"
    try:
        return call.readable_repo() if service == FETCH else call.writable_repo()
    except NotLoggedIn as error:
        raise Refusal(error.message, status=401, headers={"WWW-Authenticate": CHALLENGE}) from None


def _has_object(call: Call, repo: Repository, oid: str, size_bytes: int) -> bool:
    record = repo.record.lfs.get(oid)
    return record is not None and record.size_bytes == size_bytes and call.hub.objects.has(oid)


def _spool() -> IO[bytes]:
    return SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)


async def _receive(call: Call, asked: IO[bytes]) -> None:
    async for chunk in call.chunks():
        asked.write(chunk)
    asked.seek(0)


async def _send(call: Call, told: IO[bytes], service: str) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": f"application/x-{service}-result", **_UNCACHED})
    answer.content_length = told.tell()
    await answer.prepare(call.request)
    told.seek(0)
    while chunk := told.read(_READ_BYTES):
        await answer.write(chunk)
    await answer.write_eof()
    return answer
