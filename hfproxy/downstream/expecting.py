"""The `Expect` header: callers who wait for a word before they send a body."""

from typing import Final

from aiohttp import web

CONTINUE: Final = "100-continue"


async def say_continue(request: web.Request) -> None:
    """A route's answer to the header: the body may come. What else may be expected is left to `refuse_unfit`.

    In place of aiohttp's own, which refuses that itself, before any middleware: without a problem, a line or a count.
    """
    if request.headers.get("Expect", "").lower() == CONTINUE and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # no part of the answer, which has not begun
