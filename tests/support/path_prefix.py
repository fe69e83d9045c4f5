"""A server in front of another that serves it below a path, as a company's one address for many services does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from yarl import URL


@asynccontextmanager
async def below_prefix(target: str, prefix: str) -> AsyncIterator[str]:
    """The address under which `target` is reached: its own path plus `prefix`, which `target` never sees."""

    async def forward(request: web.Request) -> web.Response:
        url = URL(target + request.raw_path.removeprefix(prefix), encoded=True)
        headers = {name: value for name, value in request.headers.items() if name not in {"Host", "Accept-Encoding"}}
        body = await request.read()
        async with session.request(request.method, url, headers=headers, data=body, allow_redirects=False) as response:
            kept = {name: value for name, value in response.headers.items() if name != "Content-Length"}
            return web.Response(status=response.status, headers=kept, body=await response.read())

    async with aiohttp.ClientSession(auto_decompress=False) as session:
        app = web.Application()
        app.router.add_route("*", prefix + "{path:.*}", forward)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}"
        finally:
            await runner.cleanup()
