"""A Hub that has nothing but files, in the forms of contract 4.2, and as much trouble as a test orders.

Small files live on the Hub itself behind a redirect, LFS files on a second origin that takes no token.
"""

import asyncio
import hashlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from hfproxy.storage.blobs import Algorithm, BlobKey
from hfproxy.upstream.refs import BadReference, FileRef

COMMIT = "c0ffee" + "0" * 34
NEXT_COMMIT = "decade" + "0" * 34


@dataclass
class Repo:
    """Files by path, the commit that `main` is at, and who may read: None for everybody."""

    files: dict[str, bytes] = field(default_factory=dict)
    lfs: set[str] = field(default_factory=set)
    commit: str = COMMIT
    tokens: set[str] | None = None
    renamed_to: str | None = None


@dataclass
class Trouble:
    """What goes wrong while a body is sent; None: nothing."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    reset_after: int | None = None
    stall_after: int | None = None
    corrupt_at: int | None = None
    ignore_range: bool = False
    wrong_size: int | None = None

    def strikes(self, start: int, stop: int) -> bool:
        """Whether it happens to an answer with these bytes."""
        places = [at for at in (self.cut_after, self.reset_after, self.stall_after, self.corrupt_at) if at is not None]
        return not places or any(start <= at < stop for at in places)


class FileHub:
    """`repos` by id, e.g. `acme/demo`; `trouble` is used up one body at a time, by the first that it can happen to."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.url = self.cdn = ""
        self.asked: list[web.BaseRequest] = []
        self.trouble: list[Trouble] = []
        self.always: Trouble | None = None
        self.sent_bytes = 0
        self.bodies_at_once = self.most_bodies_at_once = 0
        self.bytes_per_s: float | None = None
        """What each connection to the CDN is capped at."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.hold_after: int | None = None
        """Bodies wait at this offset until `gate` is set."""
        self.down = False
        self.signature = "1"
        self.describe_trouble: list[Trouble] = []
        self.described_together: asyncio.Barrier | None = None
        """Descriptions wait until so many have been asked for."""
        self.open_paths: set[str] = set()
        """Paths that anybody may read, as in a gated repository."""
        self.listed: dict[str, dict[str, Any]] = {}
        """What listings say otherwise than it is, by path."""
        self.told_sizes: dict[str, int] = {}
        """Sizes of large files by path, where another is told than they have."""

    def add(self, path: str, content: bytes, *, repo: str = "acme/demo", lfs: bool = True) -> BlobKey:
        found = self.repos.setdefault(repo, Repo())
        found.files[path] = content
        if lfs:
            found.lfs.add(path)
        return BlobKey.of(content, Algorithm.SHA256 if lfs else Algorithm.GIT)

    def count(self, method: str, *, cdn: bool | None = None) -> int:
        """How many such requests came."""
        return sum(
            request.method == method and cdn in {None, request.path.startswith("/cdn/")} for request in self.asked
        )

    def counts(self) -> Counter[str]:
        return Counter(f"{request.method} {request.path.split('/')[1]}" for request in self.asked)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self.down:
            return _reset(request)
        raw_path = request.raw_path.partition("?")[0]
        if raw_path.startswith("/cdn/"):
            assert "Authorization" not in request.headers, "a token reached the CDN"
            if request.query.get("Signature") != self.signature:
                return web.Response(status=403, text="Access Denied")
            _, _, digest = raw_path.rpartition("/")
            for repo in self.repos.values():
                for content in repo.files.values():
                    if hashlib.sha256(content).hexdigest() == digest:
                        return await self.send(request, content, {"ETag": '"the-cdn-has-its-own"'})
            return web.Response(status=404)
        if raw_path.startswith("/api/resolve-cache/"):
            _, _, _, owner, name, _, path = raw_path.removeprefix("/").split("/", 6)
            content = self.repos[f"{owner}/{name}"].files[unquote(path)]
            return await self.send(request, content, {"ETag": f'"{BlobKey.of(content, Algorithm.GIT).digest}"'})
        if request.method in {"POST", "DELETE"}:
            return web.json_response({"success": True})
        if raw_path.startswith("/api/models/") and "/tree/" in raw_path:
            return self.tree(self.repos["/".join(raw_path.split("/")[3:5])])
        if self.describe_trouble and request.method == "HEAD":
            trouble = self.describe_trouble.pop(0)
            return web.Response(status=trouble.status or 500, headers=trouble.headers)
        if self.described_together is not None and request.method == "HEAD":
            await self.described_together.wait()
        return await self.resolve(request, raw_path)

    def tree(self, repo: Repo) -> web.Response:
        """All files of a repository, to everybody, as of a gated one (contract 1.4, 3.3)."""
        entries: list[dict[str, Any]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "folder"}]
        for path, content in repo.files.items():
            entry = {"type": "file", "path": path, "size": len(content)}
            entry["oid"] = BlobKey.of(content, Algorithm.GIT).digest
            if path in repo.lfs:
                entry["lfs"] = {"oid": BlobKey.of(content).digest, "size": len(content), "pointerSize": 130}
            entries.append(entry | self.listed.get(path, {}))
        return web.json_response(entries)

    async def resolve(self, request: web.Request, raw_path: str) -> web.StreamResponse:
        try:
            ref = FileRef.parse(raw_path)
        except BadReference:
            return web.json_response({"error": "Sorry, we can't find the page"}, status=404)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or None
        repo = self.repos.get(ref.repo.repo_id)
        if repo is None or (repo.tokens is not None and token not in repo.tokens and ref.path not in self.open_paths):
            if token is None:
                return _refusal(401, None, "Invalid username or password.")
            return _refusal(404, "RepoNotFound", "Repository not found")
        if repo.renamed_to:
            return web.Response(status=307, headers={"Location": raw_path.replace(ref.repo.repo_id, repo.renamed_to)})
        if ref.revision not in {"main", repo.commit}:
            return _refusal(404, "RevisionNotFound", "Invalid rev id")
        commit = {"X-Repo-Commit": repo.commit}
        content = repo.files.get(ref.path)
        if content is None:
            return _refusal(404, "EntryNotFound", "Entry not found", **commit)
        if ref.path in repo.lfs:
            digest = hashlib.sha256(content).hexdigest()
            return web.Response(
                status=302,
                headers=commit
                | {
                    "Location": f"{self.cdn}/cdn/{digest}?Signature={self.signature}",
                    "X-Linked-Size": str(self.told_sizes.get(ref.path, len(content))),
                    "X-Linked-ETag": f'"{digest}"',
                    "X-Xet-Hash": "0" * 64,
                },
                text="Found",
            )
        etag = BlobKey.of(content, Algorithm.GIT).digest
        location = f"/api/resolve-cache/models/{ref.repo.repo_id}/{repo.commit}/{raw_path.split('/', 5)[5]}?etag={etag}"
        return web.Response(status=307, headers=commit | {"Location": location}, text="Temporary Redirect")

    async def send(self, request: web.Request, content: bytes, headers: dict[str, str]) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(headers=headers | {"Content-Length": str(len(content))})
        self.bodies_at_once += 1
        self.most_bodies_at_once = max(self.most_bodies_at_once, self.bodies_at_once)
        try:
            return await self._send(request, content, headers)
        finally:
            self.bodies_at_once -= 1

    async def _send(self, request: web.Request, content: bytes, headers: dict[str, str]) -> web.StreamResponse:
        start, stop, status = 0, len(content), 200
        if (asked := request.http_range).start is not None:
            start, stop, status = asked.start, min(asked.stop or len(content), len(content)), 206
        trouble = next((one for one in self.trouble if one.strikes(start, stop)), None)
        if trouble is not None:
            self.trouble.remove(trouble)
        trouble = trouble or self.always or Trouble()
        if trouble.status is not None:
            return web.Response(status=trouble.status, headers=trouble.headers, text="trouble")
        if trouble.ignore_range:
            start, stop, status = 0, len(content), 200
        if status == 206:
            size = len(content) if trouble.wrong_size is None else trouble.wrong_size
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = stop - start
        await response.prepare(request)
        at = start
        if trouble.cut_after == 0:
            assert request.transport is not None
            request.transport.close()
            return response
        if trouble.stall_after == 0:
            await asyncio.Event().wait()
        while at < stop:
            step = min(stop, at + 64 * 1024)
            for bound in (trouble.cut_after, trouble.reset_after, trouble.stall_after, self.hold_after):
                if bound is not None and at < bound:
                    step = min(step, bound)
            piece = bytearray(content[at:step])
            if trouble.corrupt_at is not None and at <= trouble.corrupt_at < step:
                piece[trouble.corrupt_at - at] ^= 1
            await response.write(bytes(piece))
            self.sent_bytes += len(piece)
            at = step
            if at == self.hold_after and not self.gate.is_set():
                await self.gate.wait()
            if at == trouble.cut_after:
                assert request.transport is not None
                request.transport.close()
                return response
            if at == trouble.reset_after:
                return _reset(request, response)
            if at == trouble.stall_after:
                await asyncio.Event().wait()
            if self.bytes_per_s is not None:
                await asyncio.sleep(len(piece) / self.bytes_per_s)
        await response.write_eof()
        return response


def _reset(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    assert request.transport is not None
    sock: socket.socket | Any = request.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return response or web.Response()


def _refusal(status: int, code: str | None, message: str, **headers: str) -> web.Response:
    told = {"X-Error-Message": message, **headers}
    if code is not None:
        told["X-Error-Code"] = code
    return web.Response(status=status, headers=told, text=message)


@asynccontextmanager
async def file_hub() -> AsyncIterator[FileHub]:
    """A running one, with its CDN on another port and host name."""
    hub = FileHub()
    runners = []
    for _ in range(2):
        server = web.Server(hub.answer, handler_cancellation=True)  # type: ignore[arg-type]
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
    hub.url = f"http://127.0.0.1:{runners[0].addresses[0][1]}"
    hub.cdn = f"http://localhost:{runners[1].addresses[0][1]}"
    try:
        yield hub
    finally:
        for runner in runners:
            await runner.cleanup()
