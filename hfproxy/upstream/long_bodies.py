"""A long body from its connection into memory that is used again, past aiohttp's parser.

aiohttp makes a new object of each few hundred KiB that arrive and copies them into it. In a body of known length there
is nothing to parse: its transport is given another protocol (asyncio's `set_protocol`), which names the memory that
the system, or TLS, puts the bytes into. That halves the gateway's own work for each byte (docs/decisions/0028). Nobody
else can use the connection after that.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

import aiohttp

# A connection is given up for it. Shorter bodies, and those that several connections share out, leave it to the next.
_LONG_BYTES = 48 * 1024**2
# Word of less than a unit waits this long for more.
_GATHER_S = 0.005
# Pieces that nobody took yet. With more, the rest is left to the system's buffers, and so to the sender.
_MOST_READY = 2


def is_long(response: aiohttp.ClientResponse) -> bool:
    """Whether `LongBody` can, and should, receive the rest of this answer."""
    length = response.content_length
    return (
        length is not None
        and length >= _LONG_BYTES
        and "Transfer-Encoding" not in response.headers
        and response.connection is not None
        and response.connection.transport is not None
    )


class LongBody(asyncio.BufferedProtocol):
    """The rest of an answer that `is_long`, in pieces of up to `unit_bytes`.

    A piece is a view of memory that is used again once no view of it is left, however long that takes.
    """

    def __init__(self, response: aiohttp.ClientResponse, *, unit_bytes: int) -> None:
        """Takes the connection over. Raises what aiohttp's reading does."""
        assert response.content_length is not None
        assert response.connection is not None
        assert response.connection.protocol is not None
        assert response.connection.transport is not None
        self._parser, self._transport = response.connection.protocol, response.connection.transport
        self._first = b"".join(iter(response.content.read_nowait, b""))
        self._missing = response.content_length - len(self._first)
        self._units = _Units(unit_bytes)
        self._unit, self._filled, self._given = self._units.take(), 0, 0
        self._ready = deque[memoryview]()
        self._lost: Exception | None = None
        self._paused = False
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None
        self._parser.pause_reading()  # which ends its clock too
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    async def pieces(self, *, stall_timeout_s: float | None) -> AsyncGenerator[bytes | memoryview]:
        """The bytes as they arrive. Raises what aiohttp's reading does."""
        if self._first:
            yield self._first
        while self._ready or self._missing:
            if not self._ready:
                await self._something(stall_timeout_s)
            piece = self._ready.popleft()
            self._keep_pace()
            yield piece
            del piece  # it would keep its unit from the next

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        if self._filled == len(self._unit):
            self._unit, self._filled, self._given = self._units.take(), 0, 0
        return self._unit[self._filled : self._filled + self._missing]

    def buffer_updated(self, nbytes: int) -> None:
        """Takes in that they came."""
        self._filled += nbytes
        self._missing -= nbytes
        if self._filled == len(self._unit) or not self._missing:
            self._give()
        elif self._gathering is None:
            self._gathering = self._loop.call_later(_GATHER_S, self._give)

    def eof_received(self) -> None:
        """The other side is through; the transport closes itself then."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection; early where something is missing."""
        self._lost = aiohttp.ClientPayloadError("closed before the end") if exc is None else _as_aiohttp_says(exc)
        self._give()
        self._news.set()
        self._parser.connection_lost(exc)

    async def _something(self, timeout_s: float | None) -> None:
        """Returns when a piece is ready."""
        self._news.clear()
        if self._lost is None:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                raise aiohttp.SocketTimeoutError("nothing came for too long") from None
        if not self._ready:
            assert self._lost is not None
            raise self._lost

    def _give(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        if self._given < self._filled:
            self._ready.append(self._unit[self._given : self._filled])
            self._given = self._filled
            self._news.set()
        self._keep_pace()

    def _keep_pace(self) -> None:
        """Receives while somebody takes what comes, up to the end and no further."""
        paused = not self._missing or len(self._ready) >= _MOST_READY
        if paused != self._paused and self._lost is None:
            self._paused = paused
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()


def _as_aiohttp_says(lost: Exception) -> Exception:
    error = aiohttp.ClientOSError(*lost.args)
    error.__cause__ = lost
    return error


class _Units:
    """Pieces of memory of one size, as many as are looked at together."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._all: list[bytearray] = []

    def take(self) -> memoryview:
        """One that nobody has a view of."""
        for unit in self._all:
            if _unseen(unit):
                return memoryview(unit)
        self._all.append(bytearray(self._size_bytes))
        return memoryview(self._all[-1])


def _unseen(unit: bytearray) -> bool:
    """Whether there is no view of it: Python lets only such change their length."""
    try:
        unit.append(unit.pop())
    except BufferError:
        return False
    return True
