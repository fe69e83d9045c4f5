"""A long body from its connection into memory that is used again, past aiohttp's parser.

aiohttp makes a new object of each few hundred KiB that arrive and copies them into it. In a body of known length there
is nothing to parse: its transport is given another protocol (asyncio's `set_protocol`), which names the memory that
the system, or TLS, puts the bytes into. That halves the gateway's own work for each byte (docs/decisions/0028). Nobody
else can use the connection after that.
"""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import aiohttp

from hfproxy.upstream.shares import Crowd, Share, Units

# A connection is given up for it. Shorter bodies, and those that several connections share out, leave it to the next;
# but in a crowd, what the parser makes of each read is too much for memory.
_LONG_BYTES = 48 * 1024**2
_LONG_IN_A_CROWD_BYTES = 2 * 1024**2
# Word of less than a unit waits this long for more.
_GATHER_S = 0.005
# Pieces that nobody took yet. With more, the rest is left to the system's buffers, and so to the sender.
_MOST_READY = 2
# Who waits in a crowd knows by so many bytes that there are some, and lets more come for so long before it asks for its
# turn: a turn costs the same for few bytes as for many.
_WORD_BYTES = 4096
_LET_COME_S = 0.03
# Turns of the event loop that bring nothing: the system has no more.
_DRY_TURNS = 2


def long_body(response: aiohttp.ClientResponse, share: Share) -> "LongBody | None":
    """The rest of an answer, received here from now on; None where it is short, or cannot be."""
    length, connection = response.content_length, response.connection
    if length is None or length < (_LONG_BYTES if share.crowd is None else _LONG_IN_A_CROWD_BYTES):
        return None
    if "Transfer-Encoding" in response.headers or connection is None or connection.transport is None:
        return None
    return _Steady(response, share.unit_bytes) if share.crowd is None else _InTurns(response, share.crowd)


class LongBody(asyncio.BufferedProtocol):
    """The rest of an answer, in pieces."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        """Takes the connection over. Raises what aiohttp's reading does."""
        assert response.content_length is not None
        assert response.connection is not None
        assert response.connection.protocol is not None
        assert response.connection.transport is not None
        self._parser, self._transport = response.connection.protocol, response.connection.transport
        self._first = b"".join(iter(response.content.read_nowait, b""))
        self._missing = response.content_length - len(self._first)
        self._unit, self._filled = memoryview(b""), 0
        self._lost: Exception | None = None
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        self._parser.pause_reading()  # which ends its clock too
        self._transport.set_protocol(self)
        self._receiving = False

    async def pieces(self, *, stall_timeout_s: float | None) -> AsyncGenerator[bytes | memoryview]:
        """The bytes as they arrive. Raises what aiohttp's reading does.

        A piece is a view of memory that is used again once no view of it is left, however long that takes.
        """
        first, self._first = self._first, b""
        if first:
            yield first
            del first
        async with aclosing(self._rest(stall_timeout_s)) as rest:
            async for piece in rest:
                yield piece
                del piece  # it would keep its unit from the next

    @abstractmethod
    def _rest(self, stall_timeout_s: float | None) -> AsyncGenerator[memoryview]:
        """What had not come with the head."""

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._unit[self._filled : self._filled + self._missing]

    def buffer_updated(self, nbytes: int) -> None:
        """Takes in that they came."""
        self._filled += nbytes
        self._missing -= nbytes

    def eof_received(self) -> None:
        """The other side is through; the transport closes itself then."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection; early where something is missing."""
        self._lost = aiohttp.ClientPayloadError("closed before the end") if exc is None else _as_aiohttp_says(exc)
        self._news.set()
        self._parser.connection_lost(exc)

    def _receive(self, go: bool) -> None:
        """Lets bytes come, or leaves them to the system's buffers, and so to the sender."""
        if go != self._receiving and self._lost is None:
            self._receiving = go
            if go:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    async def _until(self, something: Callable[[], object], timeout_s: float | None) -> None:
        """Returns when there is something. Raises what ended it before."""
        if something():
            return
        self._news.clear()
        if self._lost is None:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                raise aiohttp.SocketTimeoutError("nothing came for too long") from None
        if not something():
            assert self._lost is not None
            raise self._lost


class _Steady(LongBody):
    """Receives while pieces before it are written: a few units of its own are full, or being filled, at any time."""

    def __init__(self, response: aiohttp.ClientResponse, unit_bytes: int) -> None:
        super().__init__(response)
        self._units, self._given = Units(unit_bytes), 0
        self._ready = deque[memoryview]()
        self._gathering: asyncio.TimerHandle | None = None

    async def _rest(self, stall_timeout_s: float | None) -> AsyncGenerator[memoryview]:
        self._keep_pace()
        while self._ready or self._missing:
            await self._until(lambda: self._ready, stall_timeout_s)
            piece = self._ready.popleft()
            self._keep_pace()
            yield piece
            del piece

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._filled == len(self._unit):
            self._unit, self._filled, self._given = self._units.take(), 0, 0
        return super().get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        super().buffer_updated(nbytes)
        if self._filled == len(self._unit) or not self._missing:
            self._give()
        elif self._gathering is None:
            self._gathering = self._loop.call_later(_GATHER_S, self._give)

    def connection_lost(self, exc: Exception | None) -> None:
        self._give()
        super().connection_lost(exc)

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
        self._receive(bool(self._missing) and len(self._ready) < _MOST_READY)


class _InTurns(LongBody):
    """Receives what the system holds when it is its turn, and waits with next to no memory in between."""

    def __init__(self, response: aiohttp.ClientResponse, crowd: Crowd) -> None:
        super().__init__(response)
        self._crowd = crowd

    async def _rest(self, stall_timeout_s: float | None) -> AsyncGenerator[memoryview]:
        more = False
        while self._missing or self._filled:
            if not more:
                await self._word(stall_timeout_s)
            async with self._crowd.turn() as unit:
                await self._take_in(unit)
                more = self._filled == len(unit)
                piece, self._unit, self._filled = unit[: self._filled], memoryview(b""), 0
                del unit
                if piece:
                    yield piece
                del piece

    async def _word(self, timeout_s: float | None) -> None:
        """Returns when there is something to take in: a while after the first of it came."""
        self._unit = memoryview(bytearray(_WORD_BYTES))
        self._receive(True)
        await self._until(lambda: self._filled, timeout_s)
        if self._missing and self._lost is None:
            await asyncio.sleep(_LET_COME_S)

    async def _take_in(self, unit: memoryview) -> None:
        """Fills the unit, as far as the system has bytes."""
        unit[: self._filled] = self._unit[: self._filled]
        self._unit, dry = unit, 0
        while self._missing and self._filled < len(unit) and self._lost is None and dry < _DRY_TURNS:
            self._receive(True)
            before = self._filled
            await asyncio.sleep(0)
            dry = 0 if before < self._filled else dry + 1
        self._receive(False)

    def buffer_updated(self, nbytes: int) -> None:
        super().buffer_updated(nbytes)
        if self._filled == len(self._unit) or not self._missing or len(self._unit) == _WORD_BYTES:
            self._receive(False)
        self._news.set()


def _as_aiohttp_says(lost: Exception) -> Exception:
    error = aiohttp.ClientOSError(*lost.args)
    error.__cause__ = lost
    return error
