"""Bytes of an open file into a client's socket, without a copy through this process.

`uvloop` has no `sendfile` (0.23 raises NotImplementedError), and asyncio's wants the whole transport to itself; so the
call is made here, on a duplicate of the socket's descriptor, once the transport has handed over all that it held.
"""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from hfproxy.unstoppable import end_of

_STEP_BYTES = 2 * 1024**2
_COPY_BYTES = 256 * 1024
# What a dead connection says, however it died.
_GONE = "the client is gone"


class Pace(Protocol):
    """How fast bytes may go: called with a count, it returns when so many may. step_bytes: a good count to ask for."""

    @property
    def step_bytes(self) -> int: ...

    async def __call__(self, count: int) -> None: ...


@dataclass(frozen=True, slots=True)
class FilePiece:
    """Bytes [start, stop) of an open file on this machine."""

    fd: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class Readable(Protocol):
    """What holds bytes: an open file (`fd`), or else something that is read."""

    @property
    def fd(self) -> int | None: ...

    async def read(self, start: int, stop: int) -> bytes: ...


async def pieces_of(
    readable: Readable, start: int, stop: int, *, short: Exception
) -> AsyncGenerator[FilePiece | bytes]:
    """The bytes [start, stop): as one piece of a file where it is one, else copied. Raises `short` where they end."""
    if readable.fd is not None:
        yield FilePiece(readable.fd, start, stop)
        return
    while start < stop:
        content = await readable.read(start, min(start + _COPY_BYTES, stop))
        if not content:
            raise short
        yield content
        start += len(content)


async def send_piece(
    request: web.Request,
    response: web.StreamResponse,
    piece: FilePiece | bytes | memoryview,
    *,
    pace: Pace | None = None,
) -> None:
    """Sends bytes that are in a file or in memory. Raises as `send_file`."""
    if isinstance(piece, FilePiece):
        await send_file(request, response, piece.fd, piece.start, piece.stop, pace=pace)
        return
    if pace is not None:
        await pace(len(piece))
    await response.write(piece)


async def send_file(
    request: web.Request, response: web.StreamResponse, fd: int, start: int, stop: int, *, pace: Pace | None = None
) -> None:
    """Sends the bytes [start, stop) of a file on a response that is prepared and tells its length.

    Raises ConnectionResetError when the client is gone, OSError when the file cannot be read.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError(_GONE)
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("sslcontext") is not None or not hasattr(os, "sendfile"):
        await _copy(response, fd, start, stop, pace)
        return
    transport.set_write_buffer_limits(high=0)
    try:
        await request.writer.drain()
    finally:
        transport.set_write_buffer_limits()
    if transport.is_closing():
        raise ConnectionResetError(_GONE)
    out = os.dup(sock.fileno())
    try:
        await _pump(out, fd, start, stop, pace)
    finally:
        os.close(out)
    request.writer.output_size += stop - start


async def _pump(out: int, fd: int, start: int, stop: int, pace: Pace | None) -> None:
    loop = asyncio.get_running_loop()
    granted = 0
    while start < stop:
        count = min(_STEP_BYTES, stop - start)
        if pace is not None:
            if not granted:
                granted = min(count, pace.step_bytes)
                await pace(granted)
            count = granted
        try:
            if _in_memory(fd, start + count - 1):
                sent = os.sendfile(out, fd, start, count)
            else:
                # Reading from the disk would hold up everybody else.
                sent = await end_of(loop.run_in_executor(None, os.sendfile, out, fd, start, count))
        except BlockingIOError:
            await _writable(out)
            continue
        except (ConnectionError, TimeoutError) as error:  # it reads nothing, or it is dead
            raise ConnectionResetError(_GONE) from error
        if sent == 0:
            raise OSError(f"the file ends at byte {start}")
        start += sent
        granted -= min(granted, sent)


def _in_memory(fd: int, offset: int) -> bool:
    """Whether a byte can be read without waiting for the disk; yes where the system cannot tell."""
    try:
        os.preadv(fd, [bytearray(1)], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except (OSError, AttributeError):
        return True
    return True


async def _writable(out: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(out, wake)
    try:
        await ready
    finally:
        loop.remove_writer(out)


async def _copy(response: web.StreamResponse, fd: int, start: int, stop: int, pace: Pace | None) -> None:
    """The way through this process: for TLS, and where there is no `sendfile`."""
    loop = asyncio.get_running_loop()
    while start < stop:
        content = await end_of(loop.run_in_executor(None, os.pread, fd, min(_COPY_BYTES, stop - start), start))
        if not content:
            raise OSError(f"the file ends at byte {start}")
        if pace is not None:
            await pace(len(content))
        await response.write(content)
        start += len(content)
