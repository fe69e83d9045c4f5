"""The double's process: the Hub on one port, its CDN on another, in one event loop."""

import argparse
import asyncio
import json
import re
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from tests.bench.double import answers
from tests.bench.double.content import SyntheticFile
from tests.bench.double.pacing import Pace

_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/[^/]+/([^/?]+)")
_API = re.compile(r"/api/models/([^/]+/[^/]+)(/tree/|/revision/|$)")
_PIECE_BYTES = 4 * 1024**2
_PACED_PIECE_BYTES = 64 * 1024


@dataclass
class Behaviour:
    """What can be told over `PUT /-/double`. latency_s: before every answer. The caps are bytes per second."""

    latency_s: float = 0.0
    connection_cap: float | None = None
    total_cap: float | None = None


@dataclass
class Counts:
    """What happened since the last `DELETE /-/double`. bytes_sent: of file bodies only."""

    connections: int = 0
    requests: int = 0
    bytes_sent: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)


class Double:
    """One running double."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.behaviour = Behaviour()
        self.counts = Counts()
        self._total = Pace(None)
        self.cdn_url = ""

    async def hub(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers for the Hub."""
        path = request.path
        if path == "/-/double":
            return await self._control(request)
        if path == "/api/whoami-v2":
            return await self._said("whoami", answers.WHOAMI)
        if path == "/api/repos/create":
            await request.read()
            return await self._said("create", answers.CREATED)
        if path == "/api/models-tags-by-type":
            return await self._said("tags", answers.TAGS)
        if match := _RESOLVE.fullmatch(path):
            return await self._resolve(request, match[2])
        if match := _API.match(path):
            is_tree = match[2] == "/tree/"
            return await self._said(
                "tree" if is_tree else "info", (answers.tree if is_tree else answers.repo_info)(match[1])
            )
        return web.json_response({"error": "Repository not found"}, status=404)

    async def cdn(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers for the CDN: `/{name}`, with ranges."""
        await self._count("cdn")
        file = SyntheticFile.named(request.path.rpartition("/")[2])
        if file is None:
            return web.Response(status=404)
        # The CDN's own ETag, another than the Hub's (contract 4.2 B).
        return await self._send(request, file, {"ETag": f'"cdn-{file.name}"'})

    async def _control(self, request: web.BaseRequest) -> web.Response:
        if request.method == "PUT":
            told: dict[str, Any] = await request.json()
            self.behaviour = Behaviour(**told)
            self._total = Pace(self.behaviour.total_cap)
        elif request.method == "DELETE":
            self.counts = Counts()
        return web.json_response({**asdict(self.counts), "behaviour": asdict(self.behaviour)})

    async def _count(self, kind: str) -> None:
        self.counts.requests += 1
        self.counts.by_kind[kind] = self.counts.by_kind.get(kind, 0) + 1
        if self.behaviour.latency_s:
            await asyncio.sleep(self.behaviour.latency_s)

    async def _said(self, kind: str, body: bytes) -> web.Response:
        await self._count(kind)
        return web.Response(body=body, content_type="application/json")

    async def _resolve(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        """Contract 4.2: a git file directly (form C), a large one as a redirect to the CDN (form B)."""
        await self._count(f"resolve {request.method}")
        file = SyntheticFile.named(name)
        if file is None:
            return web.json_response(
                {"error": "Entry not found"}, status=404, headers={"X-Error-Code": "EntryNotFound"}
            )
        headers = {"X-Repo-Commit": answers.COMMIT, "Accept-Ranges": "bytes"}
        if file.in_git:
            return await self._send(request, file, {**headers, "ETag": f'"{file.git_oid}"'})
        headers |= {
            "X-Linked-Size": str(file.size_bytes),
            "X-Linked-ETag": f'"{file.sha256}"',
            "Location": f"{self.cdn_url}/{file.name}?Expires=4102444800&Signature=bench&Key-Pair-Id=bench",
            "Cache-Control": "no-store",
        }
        return web.Response(status=302, headers=headers)

    async def _send(self, request: web.BaseRequest, file: SyntheticFile, headers: dict[str, str]) -> web.StreamResponse:
        try:
            asked = request.http_range
            start, stop, _ = asked.indices(file.size_bytes)
        except ValueError:
            asked, start, stop = slice(0, 0), 0, 0
        if "Range" in request.headers and start >= stop:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{file.size_bytes}"})
        partial = "Range" in request.headers
        response = web.StreamResponse(status=206 if partial else 200, headers=headers)
        if partial:
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size_bytes}"
        response.content_type = "application/octet-stream"
        response.content_length = stop - start
        await response.prepare(request)
        if request.method != "HEAD":
            await self._send_body(request, file, start, stop)
        await response.write_eof()
        return response

    async def _send_body(self, request: web.BaseRequest, file: SyntheticFile, start: int, stop: int) -> None:
        """Sends from disk, so that the double is never what limits; capped where told, and counted piece by piece."""
        transport = request.transport
        assert transport is not None
        capped = self.behaviour.connection_cap is not None or self.behaviour.total_cap is not None
        pace, total = Pace(self.behaviour.connection_cap), self._total
        loop = asyncio.get_running_loop()
        request.writer.send_headers()  # which aiohttp holds back until the first byte of the body
        with file.written_to(self._folder).open("rb") as content:
            while start < stop:
                size = min(_PACED_PIECE_BYTES if capped else _PIECE_BYTES, stop - start)
                await pace.spend(size)
                await total.spend(size)
                await loop.sendfile(transport, content, start, size)
                self.counts.bytes_sent += size
                start += size


class _Counting(web.Server):
    """Tells of every new connection."""

    double: Double

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        self.double.counts.connections += 1
        super().connection_made(handler, transport)


async def _listen(double: Double, handler: Any, port: int) -> str:
    server = _Counting(handler, access_log=None)
    server.double = double
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


async def _main(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        double = Double(Path(folder))
        double.behaviour.latency_s = arguments.latency_s
        url = await _listen(double, double.hub, arguments.port)
        double.cdn_url = await _listen(double, double.cdn, 0)
        print(json.dumps({"event": "ready", "url": url}), file=sys.stderr, flush=True)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)  # else the files stay
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.double")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--folder", type=Path, default=None, help="where the files' bytes are kept meanwhile")
    asyncio.run(_main(parser.parse_args()))
