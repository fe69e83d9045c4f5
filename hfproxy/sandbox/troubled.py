"""Requests in trouble: answered late, wrongly, in part, or not at all."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.http_writer import StreamWriter
from multidict import CIMultiDict

from hfproxy.upstream import headers as names

from .refusals import Refusal
from .sending import WATCHED
from .trouble import Origin, Trouble, Troubles

Handle = Callable[[], Awaitable[web.StreamResponse]]

OWN_PATHS: Final = "/-/"
_LOOK_EVERY_S: Final = 0.05
_SLICES_PER_S: Final = 20
_LOGIN_PAGE: Final = b"<!doctype html><html><head><title>Guest Wi-Fi</title></head><body>Please log in.</body></html>\n"
_PAGE_HEADERS: Final = frozenset({"content-type", "content-length", "connection", "date", "server"})


class Ended(ConnectionResetError):
    """The connection ended on order; where an answer is being written, aiohttp takes it for a client that left."""


class NoAnswer(web.StreamResponse):
    """What a handler returns when the connection has ended: nothing is written."""

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


async def troubled(troubles: Troubles, request: web.Request, origin: Origin, handle: Handle) -> web.StreamResponse:
    """Handle a request as its troubles let it be handled. Raises Refusal for a status on order."""
    raw_path = request.raw_path.partition("?")[0]
    if raw_path.startswith(OWN_PATHS):
        return await handle()
    struck = troubles.strike(origin, request.method, raw_path)
    if not struck:
        return await handle()
    try:
        return await _in_trouble(troubles, request, struck, handle)
    except Ended:
        return NoAnswer()


async def _in_trouble(
    troubles: Troubles, request: web.Request, struck: Sequence[Trouble], handle: Handle
) -> web.StreamResponse:
    over = troubles.over
    for trouble in struck:
        await _wait(request, trouble.latency_s, over)
    for trouble in struck:
        if not trouble.carried_out:
            await _in_place_of_an_answer(request, trouble, over)
    if any(trouble.is_on_the_wire or trouble.body == "html" for trouble in struck):
        request[WATCHED] = True
        # aiohttp has no public way to put another writer under the answers of a request; every kind of answer asks
        # the request for this one.
        request._payload_writer = TroubledWriter(request, struck, over)
    if any(trouble.body == "html" and not trouble.carried_out for trouble in struck):
        return _login_page()
    answer = await handle()
    for trouble in struck:
        if trouble.carried_out:
            await _in_place_of_an_answer(request, trouble, over)
        if trouble.body is not None:
            answer = _other_body(answer, trouble.body)
    return answer


class TroubledWriter(StreamWriter):
    """Writes an answer with everything that is to go wrong on its way.

    Offsets count bytes of the body as the handler wrote them, before chunking.
    """

    def __init__(self, request: web.Request, struck: Sequence[Trouble], over: asyncio.Event) -> None:
        super().__init__(request.protocol, asyncio.get_running_loop())
        self._request = request
        self._struck = struck
        self._over = over
        self._written = 0
        self._close_at_end = False
        self._ends = _ends(struck)

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        off_bytes = sum(trouble.length_off_bytes for trouble in self._struck)
        if off_bytes and "Content-Length" in headers:
            told = max(0, int(headers["Content-Length"]) + off_bytes)
            headers["Content-Length"] = str(told)
            self.length = told
            self._close_at_end = True
        for name in {name for trouble in self._struck for name in trouble.without}:
            if headers.popall(name, None) and name.casefold() == "content-length":
                headers["Connection"] = "close"
                self._close_at_end = True
        if any(trouble.body == "html" for trouble in self._struck):
            for name in [name for name in headers if name.casefold() not in _PAGE_HEADERS]:
                headers.popall(name, None)
        await super().write_headers(status_line, headers)
        if any(end == 0 for end, _ in self._ends):
            self.send_headers()
            await self._end(self._ends[0][1])

    async def write(
        self,
        chunk: "bytes | bytearray | memoryview[int] | memoryview[bytes]",
        *,
        drain: bool = True,
        LIMIT: int = 0x10000,  # noqa: N803
    ) -> None:
        content = bytearray(chunk)
        if self._written == 0 and content:
            self.send_headers()
            await _wait(self._request, sum(trouble.first_byte_s for trouble in self._struck), self._over)
        for trouble in self._struck:
            if trouble.corrupt_at_byte is not None and 0 <= trouble.corrupt_at_byte - self._written < len(content):
                content[trouble.corrupt_at_byte - self._written] ^= 0xFF
        for end, trouble in self._ends:
            if self._written + len(content) >= end:
                await self._write_slowly(bytes(content[: end - self._written]))
                await self._end(trouble)
        await self._write_slowly(bytes(content))

    async def write_eof(self, chunk: bytes = b"") -> None:
        if chunk:
            await self.write(chunk)
        await super().write_eof()
        if self._close_at_end and self.transport is not None:
            self.transport.close()

    async def _write_slowly(self, content: bytes) -> None:
        limits = [trouble.bandwidth_bytes_s for trouble in self._struck if trouble.bandwidth_bytes_s is not None]
        step = max(1, min(limits) // _SLICES_PER_S) if limits else max(1, len(content))
        for start in range(0, len(content), step):
            piece = content[start : start + step]
            await super().write(piece)
            self._written += len(piece)
            if limits:
                await _wait(self._request, len(piece) / min(limits), self._over)

    async def _end(self, trouble: Trouble) -> None:
        """Stop here, for good: silent, or with the connection gone."""
        if trouble.reset and self.transport is not None and not self._request.secure:
            # A reset throws away what waits to be sent, so nothing may; under TLS asyncio would wait for ever here.
            self.transport.set_write_buffer_limits(high=0)
            await self.drain()
        if trouble.hang is not None:
            await _wait(self._request, None, self._over)
        _close(self._request, reset=trouble.reset)
        raise Ended("ended on order")


def _ends(struck: Sequence[Trouble]) -> list[tuple[int, Trouble]]:
    """After how many bytes of body an answer ends, the earliest first."""
    places = [(where, trouble) for trouble in struck for where in (trouble.cut, trouble.hang)]
    found = [(where, trouble) for where, trouble in places if isinstance(where, int)]
    return sorted(found, key=lambda end: end[0])


async def _in_place_of_an_answer(request: web.Request, trouble: Trouble, over: asyncio.Event) -> None:
    if trouble.hang == "headers":
        await _wait(request, None, over)
    if "headers" in {trouble.hang, trouble.cut}:
        _close(request, reset=trouble.reset)
        raise Ended("ended on order")
    if trouble.rate_limited_s is not None:
        told = {
            names.RATE_LIMIT: f'"api";r=0;t={trouble.rate_limited_s}',
            names.RATE_LIMIT_POLICY: '"fixed window";"api";q=500;w=300',
        }
        raise _refusal(trouble, 429, told)
    if trouble.status is not None:
        raise _refusal(trouble, trouble.status, {})


def _refusal(trouble: Trouble, status: int, told: dict[str, str]) -> Refusal:
    if trouble.retry_after_s is not None:
        told = {**told, "Retry-After": str(trouble.retry_after_s)}
    known = {each.value: each.phrase for each in HTTPStatus}
    return Refusal(trouble.message or known.get(status, "Trouble"), status=status, code=trouble.code, headers=told)


def _login_page() -> web.Response:
    """What a captive portal says to everything."""
    return web.Response(body=_LOGIN_PAGE, headers={"Content-Type": "text/html"})


def _other_body(answer: web.StreamResponse, kind: str) -> web.StreamResponse:
    if kind == "html":
        return _login_page()
    if not isinstance(answer, web.Response) or answer.prepared or not isinstance(answer.body, bytes):
        return answer
    bodies = {"truncated": answer.body[: len(answer.body) // 2], "garbled": b'{"error": oops', "empty": b""}
    answer.body = bodies[kind]
    return answer


async def _wait(request: web.Request, seconds: float | None, over: asyncio.Event) -> None:
    """Wait so long, None for ever; at most until the client has gone or all troubles are over."""
    until_s = None if seconds is None else time.monotonic() + seconds
    while not over.is_set() and request.transport is not None and not request.transport.is_closing():
        left_s = _LOOK_EVERY_S if until_s is None else until_s - time.monotonic()
        if left_s <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left_s, _LOOK_EVERY_S)):
                await over.wait()


def _close(request: web.Request, *, reset: bool) -> None:
    if request.transport is None:
        return
    if not reset:
        request.transport.close()
        return
    sock: socket.socket | None = request.transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
