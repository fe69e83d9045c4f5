"""WebSockets relayed message by message, both ways, until either side closes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp import web

from hfproxy.downstream.middleware import note_end
from hfproxy.features.passthrough.models import Question
from hfproxy.upstream.client import CLOSING_S, HubClient
from hfproxy.upstream.headers import asked_of_the_hub

_MAX_MESSAGE_SIZE = 16 * 1024**2
_ENDS = frozenset(
    {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
)
# Says only how a connection ended, and is never sent (RFC 6455 7.4.1).
_BROKEN_OFF = aiohttp.WSCloseCode.ABNORMAL_CLOSURE
_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse
# The handshake of each side is its own (RFC 6455 4.1).
_HANDSHAKE = ("sec-websocket-",)


def is_websocket(request: web.Request) -> bool:
    """Whether a request asks to become a WebSocket."""
    return request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket"


async def relay_websocket(
    request: web.Request, hub: HubClient, question: Question, moved: Callable[[], None]
) -> web.WebSocketResponse:
    """Both sides' messages passed to the other. Raises UpstreamError if the Hub does not open one."""
    offered = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if each.strip()]
    headers = [
        (name, value)
        for name, value in asked_of_the_hub(question.headers)
        if not name.casefold().startswith(_HANDSHAKE)
    ]
    async with hub.websocket(
        hub.address(question.target),
        credential=question.credential,
        headers=headers,
        protocols=offered,
        max_message_size=_MAX_MESSAGE_SIZE,
    ) as theirs:
        chosen = [theirs.protocol] if theirs.protocol else []
        # Its end is answered once it is passed on: aiohttp ends what is done for a caller who has gone.
        ours = web.WebSocketResponse(
            protocols=chosen, autoping=False, autoclose=False, max_msg_size=_MAX_MESSAGE_SIZE, timeout=CLOSING_S
        )
        await ours.prepare(request)
        note_end(request, ours)  # whatever follows is no part of the answer
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass_on(ours, theirs, moved, lost=aiohttp.WSCloseCode.GOING_AWAY))
            both.create_task(_pass_on(theirs, ours, moved, lost=aiohttp.WSCloseCode.BAD_GATEWAY))
        return ours


async def _pass_on(source: _Socket, target: _Socket, moved: Callable[[], None], *, lost: int) -> None:
    """Passes messages on until the source ends, and its end too; `lost` tells the target of one that just broke off."""
    try:
        while (message := await source.receive()).type not in _ENDS:
            moved()
            await _send(target, message)
    except ConnectionError:
        return  # the target has ended, which its own reader passes on
    code, reason = lost, b""
    if message.type is aiohttp.WSMsgType.CLOSE:
        # What came without a code cannot be sent on without one: aiohttp has no way to.
        code, reason = message.data or aiohttp.WSCloseCode.OK, (message.extra or "").encode()
    elif message.type is aiohttp.WSMsgType.ERROR and source.close_code not in {None, _BROKEN_OFF}:
        code = source.close_code or lost
    # A Hub that goes on sending would be listened to without an end. What was closed from here already stays so.
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSING_S):
            await target.close(code=code, message=reason)
    if message.type is aiohttp.WSMsgType.CLOSE:
        await source.close(code=code)


async def _send(target: _Socket, message: Any) -> None:
    match message.type:
        case aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        case aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
        case aiohttp.WSMsgType.PING:
            await target.ping(message.data)
        case aiohttp.WSMsgType.PONG:
            await target.pong(message.data)
