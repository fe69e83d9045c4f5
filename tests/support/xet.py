"""What a client of Xet does, step by step and without hf_xet, so that a test can look at each step."""

import json
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from hfproxy.sandbox.cas.xorbs import unpacked
from hfproxy.sandbox.pointers import Pointer
from hfproxy.sandbox.repository import Repository
from hfproxy.sandbox.server import Sandbox
from hfproxy.upstream.refs import RepoRef, RepoType


def plant(sandbox: Sandbox, repo_id: str, files: dict[str, bytes], *, by: str = "alice", **facts: Any) -> Repository:
    """A repository with these as large files; the sandbox offers them by Xet."""
    hub = sandbox.hub
    ref = RepoRef.parse(RepoType.MODEL, repo_id)
    repo = hub.create_repo(ref, by=by, **facts)
    add(sandbox, repo, files, by=by)
    return repo


def add(sandbox: Sandbox, repo: Repository, files: dict[str, bytes], *, by: str = "alice") -> None:
    """A commit with these as large files."""
    pointers = {}
    for path, content in files.items():
        oid = sandbox.hub.objects.put(content)
        sandbox.hub.lfs_received(repo, oid, len(content), by=by)
        pointers[path] = bytes(Pointer(oid, len(content)))
    sandbox.hub.commit(repo, pointers, "Add", by=by)


@dataclass
class Range:
    """A range of a xorb as a reconstruction tells it."""

    xorb: str
    url: str
    first: int
    last: int
    chunks: tuple[int, int]


class XetClient:
    """Somebody who fetches by Xet from `url`, be it a gateway or the Hub."""

    def __init__(self, http: aiohttp.ClientSession, url: str, bearer: str | None) -> None:
        self.http, self.url = http, url
        self.headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}

    async def offer(self, path: str) -> tuple[int, dict[str, str]]:
        """What a HEAD of `alice/demo/resolve/main/x` says."""
        async with self.http.head(f"{self.url}/{path}", headers=self.headers, allow_redirects=False) as answer:
            return answer.status, dict(answer.headers)

    async def token(self, repo: str, revision: str = "main", kind: str = "read") -> tuple[int, dict[str, Any], Any]:
        """Status, headers and body."""
        address = f"{self.url}/api/models/{repo}/xet-{kind}-token/{revision}"
        async with self.http.get(address, headers=self.headers) as answer:
            return answer.status, dict(answer.headers), await answer.json(content_type=None)

    async def cas(
        self, told: Any, method: str, path: str, *, data: Any = None, **headers: Any
    ) -> tuple[int, bytes, dict[str, str]]:
        """A call to the store that a token names."""
        sent = {"Authorization": f"Bearer {told['accessToken']}", **headers}
        address = URL(told["casUrl"] + path, encoded=True)
        async with self.http.request(method, address, headers=sent, data=data) as answer:
            return answer.status, await answer.read(), dict(answer.headers)

    async def ranges(
        self, told: Any, file_hash: str, *, version: int = 2, part: str | None = None
    ) -> tuple[dict[str, Any], list[Range]]:
        """A reconstruction and the ranges in it; part: of the file, as a Range header."""
        path = f"/v{version}/reconstructions/{file_hash}"
        status, body, _ = await self.cas(told, "GET", path, **({"Range": part} if part else {}))
        assert status == 200, (status, body)
        document = json.loads(body)
        if version == 1:
            return document, [
                Range(xorb, each["url"], each["url_range"]["start"], each["url_range"]["end"], _pair(each["range"]))
                for xorb, fetches in document["fetch_info"].items()
                for each in fetches
            ]
        return document, [
            Range(xorb, each["url"], one["bytes"]["start"], one["bytes"]["end"], _pair(one["chunks"]))
            for xorb, fetches in document["xorbs"].items()
            for each in fetches
            for one in each["ranges"]
        ]

    async def fetch(self, place: Range) -> tuple[int, bytes]:
        """The bytes of a range. Raises aiohttp.ClientPayloadError where they are cut off."""
        async with self.http.get(place.url, headers={"Range": f"bytes={place.first}-{place.last}"}) as answer:
            return answer.status, await answer.read()

    async def download(self, repo: str, path: str, *, version: int = 2) -> bytes:
        """A whole file, put together of its terms."""
        _, headers = await self.offer(f"{repo}/resolve/main/{path}")
        _, _, told = await self.token(repo)
        document, ranges = await self.ranges(told, headers["X-Xet-Hash"], version=version)
        chunks: dict[tuple[str, int], bytes] = {}
        for place in ranges:
            status, body = await self.fetch(place)
            assert status == 206, (status, body)
            contents = list(unpacked(memoryview(body)))
            assert len(contents) == place.chunks[1] - place.chunks[0]
            chunks |= {(place.xorb, place.chunks[0] + at): content for at, content in enumerate(contents)}
        whole = b"".join(
            chunks[term["hash"], chunk]
            for term in document["terms"]
            for chunk in range(term["range"]["start"], term["range"]["end"])
        )
        return whole[document["offset_into_first_range"] :]


def _pair(told: dict[str, int]) -> tuple[int, int]:
    return told["start"], told["end"]
