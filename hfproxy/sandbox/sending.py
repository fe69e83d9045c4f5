"""A file's bytes as an answer: whole, in parts, or not at all because the client has them.

Conditionals and ranges as RFC 9110 sections 13 and 14 say; bytes go from disk to socket without passing through memory.
"""

import asyncio
import secrets
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from aiohttp import web

from .ranges import ByteRange, Unsatisfiable, parse_ranges

READ_BYTES: Final = 1024 * 1024
SMALLEST_ZIPPED_BYTES: Final = 256
# Set on a request whose bytes must be seen on their way out, so that they cannot go by sendfile.
WATCHED: Final = web.RequestKey("watched", bool)


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes with a name: in memory, a file on disk, or anything that can be opened and read like one."""

    etag: str
    """As in the header, quotes included."""
    content_type: str
    size_bytes: int
    body: bytes | None = None
    path: Path | None = None
    opened: Callable[[], BinaryIO] | None = None

    def __post_init__(self) -> None:
        assert sum(each is not None for each in (self.body, self.path, self.opened)) == 1

    def open(self) -> BinaryIO:
        """What is not in memory, to read."""
        if self.opened is not None:
            return self.opened()
        assert self.path is not None
        return self.path.open("rb")


async def send(
    request: web.Request,
    content: Content,
    headers: Mapping[str, str],
    *,
    several_ranges: bool = False,
    zipped: bool = False,
) -> web.StreamResponse:
    """Answer a GET or HEAD for a content. `zipped` says that it may go out as gzip to those who take it."""
    told = {**headers, "ETag": content.etag, "Accept-Ranges": "bytes"}
    if matches(request.headers.get("If-None-Match"), content.etag):
        return web.Response(status=304, headers=told)
    told["Content-Type"] = content.content_type
    try:
        ranges = _asked_ranges(request, content)
    except Unsatisfiable:
        return web.Response(
            status=416,
            text="Requested range not satisfiable",
            headers={**headers, "Content-Range": f"bytes */{content.size_bytes}"},
        )
    if ranges is not None and len(ranges) > 1 and not several_ranges:
        ranges = None
    if ranges is None and zipped and takes_gzip(request):
        return await _send_zipped(request, content, told)
    if ranges is not None and len(ranges) > 1:
        return await _send_several(request, content, told, ranges)
    whole = ByteRange(0, content.size_bytes)
    [part] = ranges or [whole]
    if ranges is not None:
        told["Content-Range"] = part.content_range(content.size_bytes)
    return await _send_part(request, content, told, part, status=206 if ranges is not None else 200)


def matches(header: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` names this etag, by the weak comparison."""
    if header is None:
        return False
    known = {part.strip().removeprefix("W/") for part in header.split(",")}
    return "*" in known or etag.removeprefix("W/") in known


def takes_gzip(request: web.Request) -> bool:
    """Whether `Accept-Encoding` names gzip, and not with a weight of nothing."""
    for offer in request.headers.get("Accept-Encoding", "").split(","):
        coding, _, weight = offer.partition(";")
        if coding.strip().casefold() == "gzip":
            return weight.replace(" ", "").casefold() not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _asked_ranges(request: web.Request, content: Content) -> list[ByteRange] | None:
    header = request.headers.get("Range")
    condition = request.headers.get("If-Range")
    # Only a strong etag may follow If-Range; a date never equals ours, so the whole content follows.
    if request.method != "GET" or header is None or (condition is not None and condition.strip() != content.etag):
        return None
    return parse_ranges(header, content.size_bytes)


async def _send_part(
    request: web.Request, content: Content, headers: Mapping[str, str], part: ByteRange, *, status: int
) -> web.StreamResponse:
    if content.body is not None and request.method == "GET":
        return web.Response(status=status, headers=headers, body=content.body[part.start : part.stop])
    answer = web.StreamResponse(status=status, headers=headers)
    answer.content_length = part.size_bytes
    await answer.prepare(request)
    if request.method == "GET":
        await _write_part(request, answer, content, part)
    await answer.write_eof()
    return answer


async def _send_several(
    request: web.Request, content: Content, headers: dict[str, str], ranges: Sequence[ByteRange]
) -> web.StreamResponse:
    boundary = secrets.token_hex(16)
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {headers['Content-Type']}\r\n"
        f"Content-Range: {part.content_range(content.size_bytes)}\r\n\r\n".encode()
        for part in ranges
    ]
    end = f"\r\n--{boundary}--\r\n".encode()
    answer = web.StreamResponse(
        status=206, headers={**headers, "Content-Type": f"multipart/byteranges; boundary={boundary}"}
    )
    answer.content_length = sum(map(len, heads)) + sum(part.size_bytes for part in ranges) + len(end)
    await answer.prepare(request)
    for head, part in zip(heads, ranges, strict=True):
        await answer.write(head)
        await _write_part(request, answer, content, part)
    await answer.write(end)
    await answer.write_eof()
    return answer


async def _send_zipped(request: web.Request, content: Content, headers: dict[str, str]) -> web.StreamResponse:
    """Chunked gzip under a weak etag: other bytes, the same content."""
    told = {**headers, "ETag": f"W/{content.etag}", "Content-Encoding": "gzip"}
    told["Vary"] = f"{told['Vary']}, Accept-Encoding" if "Vary" in told else "Accept-Encoding"
    answer = web.StreamResponse(headers=told)
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    if request.method == "GET":
        squeeze = zlib.compressobj(wbits=31)
        async with aclosing(_chunks(content, ByteRange(0, content.size_bytes))) as chunks:
            async for chunk in chunks:
                if squeezed := squeeze.compress(chunk):
                    await answer.write(squeezed)
        await answer.write(squeeze.flush())
    await answer.write_eof()
    return answer


async def _write_part(request: web.Request, answer: web.StreamResponse, content: Content, part: ByteRange) -> None:
    if content.path is not None and not request.get(WATCHED) and not request.secure and request.transport is not None:
        # Opened here and not in a thread: who is cancelled while a thread opens never gets the file to close it.
        with content.path.open("rb") as file:
            try:
                await asyncio.get_running_loop().sendfile(
                    request.transport, file, part.start, part.size_bytes, fallback=False
                )
            except (NotImplementedError, asyncio.SendfileNotAvailableError):
                pass  # uvloop has none
            else:
                return
    async with aclosing(_chunks(content, part)) as chunks:
        async for chunk in chunks:
            await answer.write(chunk)


async def _chunks(content: Content, part: ByteRange) -> AsyncGenerator[bytes]:
    if content.body is not None:
        for start in range(part.start, part.stop, READ_BYTES):
            yield content.body[start : min(start + READ_BYTES, part.stop)]
        return
    with content.open() as file:
        await asyncio.to_thread(file.seek, part.start)
        left = part.size_bytes
        while left:
            chunk = await asyncio.to_thread(_read, file, min(left, READ_BYTES))
            left -= len(chunk)
            yield chunk


def _read(file: BinaryIO, size_bytes: int) -> bytes:
    chunk = file.read(size_bytes)
    if not chunk:
        raise ConnectionError("the file became shorter while it was sent")
    return chunk
