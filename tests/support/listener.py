"""Somebody who is called by webhooks: a server on loopback that keeps what comes in."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.waiting import PATIENCE_S


@dataclass
class Listener:
    """Answers with `statuses` in turn, then 200; while `gate` is closed, with nothing."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Queue[tuple[dict[str, str], Any]] = field(default_factory=asyncio.Queue)

    async def next(self) -> tuple[dict[str, str], Any]:
        """The headers and JSON of the next call."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()

    async def told(self) -> Any:
        return (await self.next())[1]

    async def _answer(self, request: web.Request) -> web.Response:
        self.heard.put_nowait((dict(request.headers), await request.json()))
        await self.gate.wait()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@asynccontextmanager
async def listening(statuses: Sequence[int] = ()) -> AsyncIterator[Listener]:
    listener = Listener(statuses=list(statuses))
    listener.gate.set()
    app = web.Application()
    app.router.add_post("/hook", listener._answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield listener
    finally:
        listener.gate.set()
        await runner.cleanup()
