"""WebSockets relayed message by message, both ways, until either side closes."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from hfproxy.features.passthrough.models import Question
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.headers import asked_of_the_hub

_MAX_MESSAGE_SIZE = 16 * 1024**2
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
        ours = web.WebSocketResponse(protocols=chosen, autoping=False, max_msg_size=_MAX_MESSAGE_SIZE)
        await ours.prepare(request)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass_on(ours, theirs, moved))
            both.create_task(_pass_on(theirs, ours, moved))
        return ours


async def _pass_on(source: _Socket, target: _Socket, moved: Callable[[], None]) -> None:
    async for message in source:
        moved()
        await _send(target, message)
    # Codes that only say how a connection ended are never sent (RFC 6455 7.4.1).
    code = source.close_code if source.close_code not in {None, 1005, 1006, 1015} else 1000
    await target.close(code=code or 1000)


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
