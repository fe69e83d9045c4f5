"""Files over HTTP."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

from aiohttp import web

from hfproxy.downstream.access import CALLER, Caller
from hfproxy.downstream.base_url import base_url
from hfproxy.downstream.browsers import RELAYED
from hfproxy.downstream.middleware import route_of
from hfproxy.downstream.ranges import Changed, Multipart, Parts, Unchanged, Unsatisfiable, Whole, wanted
from hfproxy.downstream.sending import Pace, send_piece
from hfproxy.errors import PreconditionFailed, RangeNotSatisfiable
from hfproxy.facts import note
from hfproxy.features.files.admission import ADMISSION
from hfproxy.features.files.answers import XetOffer, file_headers
from hfproxy.features.files.hot import HotFiles
from hfproxy.features.files.listed import Listed
from hfproxy.features.files.lookup import Found
from hfproxy.features.files.paths import file_named
from hfproxy.features.files.service import FileService
from hfproxy.features.passthrough.xet_offers import offers_of_xet
from hfproxy.features.policy.taking import transfer
from hfproxy.keys import ACTING, SETTINGS
from hfproxy.storage.blobs import Algorithm, BlobKey
from hfproxy.upstream.headers import DOWNLOAD_COUNTER, LINKED_ETAG, LINKED_SIZE
from hfproxy.upstream.lfs import pointer
from hfproxy.upstream.refs import FileRef
from hfproxy.upstream.rewriting import MAX_HTTP_DOWNLOAD_SIZE, is_fileinfo
from hfproxy.upstream.xet import XetOffers

FILES: Final = web.AppKey("files", FileService)
# Hears of what listings say.
LISTED: Final = web.AppKey("listed", Listed)
# Where there is a lane in front of the middlewares: what is answered there.
HOT: Final = web.AppKey("hot", HotFiles)
# Answers a file that is not ours to keep.
RELAY_FILE: Final = web.AppKey[Callable[[web.Request], Awaitable[web.StreamResponse]]]("relay_file")
# What the Hub counts downloads by (contract 1.1).
_HANDED_ON = ("User-Agent", DOWNLOAD_COUNTER, "X-HF-Bill-To")
# An open-ended range that leaves out less than this is the rest of a file that somebody fetches whole.
_REST_BYTES = 8 * 1024**2


async def answer_file(request: web.Request) -> web.StreamResponse:
    """A file, or part of it, or what a HEAD tells of it; never a redirect (contract 4.4)."""
    named = file_named(request.match_info["file"])
    assert named is not None
    ref, repo = named
    found = await _found(request, ref, repo)
    by_xet, fileinfo = found.entry.xet_hash is not None, _wants_fileinfo(request)
    offers = await offers_of_xet(request, ref.repo) if by_xet or fileinfo else XetOffers.NONE
    if found.entry.size_bytes > MAX_HTTP_DOWNLOAD_SIZE or (fileinfo and offers is XetOffers.ALL):
        # Python takes large files by Xet alone, others ask for nothing else; the relay leaves them the offer.
        return await request.app[RELAY_FILE](request)
    request[RELAYED] = True
    offer = XetOffer.at(base_url(request), request.app[SETTINGS].xet.mode) if offers is XetOffers.ALL else None
    told = file_headers(found, status=found.status, download="download" in request.query, xet=offer)
    if (hot := request.app.get(HOT)) is not None:
        hot.learn(request.raw_path, ref, repo, found, told, route=route_of(request))
    return await answer_found(request, found, told)


async def answer_raw(request: web.Request) -> web.StreamResponse:
    """A file as git has it: a regular one's bytes, a large one's pointer (contract 4.1).

    Who may read a file may read its pointer, which tells no more than its headers do.
    """
    named = file_named(request.match_info["file"], verb="raw")
    assert named is not None
    ref, repo = named
    found = await _found(request, ref, repo)
    request[RELAYED] = True
    told = file_headers(found, status=found.status, download=False)
    del told["Content-Disposition"]
    if not found.entry.is_lfs:
        return await answer_found(request, found, told)
    content = pointer(found.entry.etag, found.entry.size_bytes)
    for name in (LINKED_ETAG, LINKED_SIZE, "Accept-Ranges"):
        told.pop(name, None)
    told |= {"ETag": f'"{BlobKey.of(content, Algorithm.GIT).digest}"', "Content-Type": "text/plain; charset=utf-8"}
    return web.Response(body=content, headers=told)


async def _found(request: web.Request, ref: FileRef, repo: str) -> Found:
    """The file, which this caller may have. Raises what `Admission.admit` and `Lookup.find` raise."""
    service, caller, credential = request.app[FILES], request[CALLER], request[ACTING]
    headers = [(name, request.headers[name]) for name in _HANDED_ON if name in request.headers]

    async def find() -> Found:
        return service.lookup.recall(ref, repo, credential) or await service.lookup.find(ref, credential, headers)

    async def size_of() -> int:
        return (await find()).entry.size_bytes

    await request.app[ADMISSION].admit(caller, ref, credential, size_of=size_of)
    found = await find()
    note(repo=repo, commit_hash=found.entry.commit_hash)
    return found


async def answer_found(
    request: web.Request, found: Found, told: dict[str, str], *, taken_by: Caller | None = None
) -> web.StreamResponse:
    """What the caller wants of a file that they may read. told: the headers that tell of it.

    taken_by: whose limits it counts for, where that is not who asks.
    """
    service, entry = request.app[FILES], found.entry
    part = wanted(request.method, request.headers, etag=entry.etag, size_bytes=entry.size_bytes)
    match part:
        case Unchanged():
            return web.Response(status=304, headers=told)
        case Changed():
            raise PreconditionFailed(f"the etag is {entry.etag}")
        case Unsatisfiable():
            raise RangeNotSatisfiable(size_bytes=entry.size_bytes)
    if request.method == "HEAD":
        return web.Response(headers={**told, "Content-Length": str(entry.size_bytes)})
    async with transfer(request, taken_by) as pace:
        if service.is_small(found):
            return await _answer_small(service, found, part, told, pace)
        prefix = request.app[SETTINGS].files.accel_prefix
        if prefix is not None and (place := await service.stored_at(found)) is not None:
            told["X-Accel-Redirect"] = f"{prefix.rstrip('/')}/{place}"
            if pace is not None:
                told["X-Accel-Limit-Rate"] = str(pace.bytes_per_s)
            return web.Response(headers=told)
        return await _stream(request, service, found, part, told, pace)


def _wants_fileinfo(request: web.Request) -> bool:
    return any(is_fileinfo(part) for value in request.headers.getall("Accept", ()) for part in value.split(","))


async def _answer_small(
    service: FileService, found: Found, part: Whole | Parts, told: dict[str, str], pace: Pace | None
) -> web.StreamResponse:
    body = service.remembered(found)
    if body is None:
        body, status = await service.content(found)
        told["Cache-Status"] = f"hfproxy; {status}"
    if pace is not None:
        await pace(len(body) if isinstance(part, Whole) else sum(stop - start for start, stop in part.ranges))
    if isinstance(part, Whole):
        return web.Response(body=body, headers=told)
    framed = _frame(part, found, told)
    if framed is None:
        start, stop = part.ranges[0]
        return web.Response(status=206, body=body[start:stop], headers=told)
    parts = b"".join(framed.head(start, stop) + body[start:stop] for start, stop in part.ranges)
    return web.Response(status=206, body=parts + framed.tail, headers=told)


async def _stream(
    request: web.Request,
    service: FileService,
    found: Found,
    part: Whole | Parts,
    told: dict[str, str],
    pace: Pace | None,
) -> web.StreamResponse:
    """Sends a large file's bytes as they become available; its headers wait for the first of them."""
    size = found.entry.size_bytes
    framed = _frame(part, found, told) if isinstance(part, Parts) else None
    ranges = part.ranges if isinstance(part, Parts) else ((0, size),)
    length = framed.length if framed is not None else ranges[0][1] - ranges[0][0]
    response = web.StreamResponse(status=206 if isinstance(part, Parts) else 200, headers=told)
    response.content_length = length
    for start, stop in ranges:
        rest = isinstance(part, Parts) and part.open_ended and stop - start >= min(_REST_BYTES, size // 2)
        async with aclosing(service.pieces(found, start, stop, whole=stop - start == size or rest)) as pieces:
            first = True
            async for piece in pieces:
                if not response.prepared:
                    await response.prepare(request)
                if first and framed is not None:
                    await response.write(framed.head(start, stop))
                first = False
                await send_piece(request, response, piece, pace=pace)
    if framed is not None:
        await response.write(framed.tail)
    await response.write_eof()
    return response


def _frame(part: Parts, found: Found, told: dict[str, str]) -> Multipart | None:
    """Completes the headers of a 206; the frame around its parts if there are several."""
    size = found.entry.size_bytes
    if len(part.ranges) == 1:
        start, stop = part.ranges[0]
        told["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return None
    framed = Multipart.around(part, size_bytes=size, content_type=found.entry.content_type)
    told["Content-Type"] = f"multipart/byteranges; boundary={framed.boundary}"
    return framed
