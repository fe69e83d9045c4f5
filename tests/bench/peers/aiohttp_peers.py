"""Servers of a few lines, each one end of a scale: `python -m tests.bench.peers.aiohttp_peers KIND UPSTREAM`.

- `forwarder`: the least an aiohttp gateway can do for an API call: one shared session, no check, no log, no errors
- `old`: the earlier service's way: a new session, hence a new connection, for every call
- `relay`: the least it can do for a file: chunks handed on as they come
- `files`: hot files by `FileResponse` from a folder (UPSTREAM is the folder)
- `memory`: the same folder's small files from memory, below `/memory`
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import uvloop
from aiohttp import web

from tests.bench.processes import HUB_TOKEN

HEADERS = {"Authorization": f"Bearer {HUB_TOKEN}"}
UPSTREAM = web.AppKey("upstream", str)
SESSION = web.AppKey("session", aiohttp.ClientSession)


async def _shared_session(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app[SESSION] = session
        yield


async def _forward(session: aiohttp.ClientSession, upstream: str, request: web.Request) -> web.Response:
    creating = request.method == "POST"
    url = upstream + ("/api/repos/create" if creating else "/api/whoami-v2")
    body = await request.json() if creating else None
    async with session.request(request.method, url, json=body, headers=HEADERS) as response:
        return web.json_response(await response.json(), status=response.status)


async def forward(request: web.Request) -> web.Response:
    return await _forward(request.app[SESSION], request.app[UPSTREAM], request)


async def forward_the_old_way(request: web.Request) -> web.Response:
    async with aiohttp.ClientSession() as session:
        return await _forward(session, request.app[UPSTREAM], request)


async def relay(request: web.Request) -> web.StreamResponse:
    async with request.app[SESSION].get(request.app[UPSTREAM] + request.raw_path, headers=HEADERS) as upstream:
        response = web.StreamResponse(status=upstream.status)
        response.content_length = upstream.content_length
        await response.prepare(request)
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def from_disk(request: web.Request) -> web.FileResponse:
    return web.FileResponse(Path(request.app[UPSTREAM]) / request.match_info["name"])


def from_memory(folder: Path) -> Callable[[web.Request], Awaitable[web.Response]]:
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.stat().st_size <= 1024**2}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=kept[request.match_info["name"]], headers={"ETag": '"kept"'})

    return answer


def _app(kind: str, upstream: str) -> web.Application:
    app = web.Application(client_max_size=1024**2)
    app[UPSTREAM] = upstream
    app.cleanup_ctx.append(_shared_session)
    if kind in {"forwarder", "old"}:
        handler = forward if kind == "forwarder" else forward_the_old_way
        app.router.add_get("/api/account", handler)
        app.router.add_post("/api/repo", handler)
    elif kind == "relay":
        app.router.add_get("/{path:.*}", relay)
    elif kind == "memory":
        app.router.add_get("/memory/{name}", from_memory(Path(upstream)))
    else:
        app.router.add_get("/{name}", from_disk)
    return app


async def _main(kind: str, upstream: str) -> None:
    runner = web.AppRunner(_app(kind, upstream), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    print(json.dumps({"event": "ready", "url": url}), file=sys.stderr, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    # As the gateway: uvloop; but files go out by `sendfile`, which uvloop has not.
    (asyncio if sys.argv[1] == "files" else uvloop).run(_main(sys.argv[1], sys.argv[2]))
