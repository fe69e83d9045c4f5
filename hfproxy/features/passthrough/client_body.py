"""A caller's body on its way to the Hub."""

from collections.abc import AsyncIterator, Callable

from aiohttp import web

from hfproxy.downstream.expecting import CONTINUE
from hfproxy.downstream.sending import Pace
from hfproxy.errors import BadRequest, BodyTooLarge


class ClientBody:
    """The body of a request, read only as fast as it is passed on.

    A caller who waits for `100 Continue` hears it when the first byte is wanted: by then their rights are checked and
    the Hub's connection stands (RFC 9110 10.1.1).
    """

    def __init__(self, request: web.Request, moved: Callable[[], None]) -> None:
        """pace: how fast it may be read, where a limit of the policy says so."""
        self._request = request
        self._moved = moved
        self.pace: Pace | None = None
        self.waiting = False
        self.broken: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await self._say_continue()
        content = self._request.content
        while True:
            self.waiting = True
            try:
                chunk = await content.readany()
            except Exception as error:
                self.broken = error
                raise
            self.waiting = False
            if not chunk:
                return
            self._moved()
            if self.pace is not None:
                await self.pace(len(chunk))
                self._moved()
            yield chunk

    async def read(self, *, max_size: int) -> bytes:
        """The whole body. Raises BodyTooLarge, BadRequest."""
        body = bytearray()
        try:
            async for chunk in self:
                body += chunk
                if len(body) > max_size:
                    raise BodyTooLarge(f"this call takes at most {max_size} bytes")
        except web.RequestPayloadError as error:
            raise BadRequest(f"the body is broken: {error}") from None
        return bytes(body)

    async def _say_continue(self) -> None:
        request = self._request
        if request.headers.get("Expect", "").lower() == CONTINUE and request.version >= (1, 1):
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def expect_later(request: web.Request) -> None:
    """The route's answer to `Expect`: none yet, `ClientBody` gives it."""
