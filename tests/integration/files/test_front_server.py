"""nginx in front, as documented: it gives again what it was just given, to the same caller and nobody else."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hfproxy.downstream import connections
from hfproxy.downstream.access import Role
from tests.bench.peers.nginx import installed, nginx
from tests.integration.access.test_callers import keys_of, make_key
from tests.support.file_hub import COMMIT, FileHub
from tests.support.gateway import gateway_for
from tests.support.raw_http import Answer, Connection, connection_to
from tests.support.waiting import PATIENCE_S

pytestmark = [
    pytest.mark.skipif(not installed(), reason="there is no nginx"),
    pytest.mark.only_in_a_folder,
]

SMALL, LARGE = b'{"a": 1}\n' * 300, b"weights" * 100_000
PATH = f"/acme/demo/resolve/{COMMIT}/config.json"
WEIGHTS = f"/acme/demo/resolve/{COMMIT}/weights.bin"
FRIEND = "Authorization: Bearer hf_friend"


@dataclass
class Front:
    """nginx, and a connection to it. seen: how many requests the gateway was asked."""

    url: str
    connection: Connection
    gateway: str
    seen: Callable[[], int]

    async def ask(self, method: str, path: str, *headers: str) -> Answer:
        return await _ask(self.connection, method, path, *headers)

    async def ask_until_kept(self, method: str, path: str, *headers: str) -> Answer:
        """An answer that nginx gives by itself."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                before = self.seen()
                answer = await self.ask(method, path, *headers)
                if self.seen() == before:
                    return answer

    async def is_asked(self, method: str, path: str, *headers: str) -> Answer:
        """The answer, which the gateway must have given."""
        before = self.seen()
        answer = await self.ask(method, path, *headers)
        assert self.seen() == before + 1, f"nginx answered {method} {path} {headers} by itself"
        return answer


async def _ask(connection: Connection, method: str, path: str, *headers: str) -> Answer:
    lines = "".join(f"{header}\r\n" for header in headers)
    await connection.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
    answer = await connection.answer(of_head=method == "HEAD")
    assert answer is not None
    return answer


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The method of each request that the gateway was asked, whichever way it is answered."""
    asked: list[str] = []
    look = connections._Connection._answer_at_once

    def watched(self: Any, message: Any, payload: Any) -> bool:
        asked.append(message.method)
        return look(self, message, payload)

    monkeypatch.setattr(connections._Connection, "_answer_at_once", watched)
    return asked


@asynccontextmanager
async def front(hub: FileHub, root: Path, seen: list[str], **variables: str) -> AsyncIterator[Front]:
    hub.add("config.json", SMALL, lfs=False)
    hub.add("weights.bin", LARGE)
    settings = {
        "FILES__ACCEL_PREFIX": "/kept",
        "FILES__ACCEL_ANSWERS": "true",
        "FILES__SMALL_SIZE": "64KiB",
        "SERVER__TRUSTED_PROXIES": '["127.0.0.1/32", "::1/128"]',
        "ACCESS__ANONYMOUS": "reader",
        **variables,
    }
    async with gateway_for(hub.url, root, **settings) as gateway:
        with nginx("front", root=root / "blobs", upstream=gateway.url) as server:
            async with connection_to(server.url) as connection:
                yield Front(server.url, connection, gateway.url, lambda: len(seen))


def _told(answer: Answer) -> dict[str, str]:
    own = {"date", "server", "connection", "x-request-id", "x-hfproxy-request-id", "x-accel-expires"}
    return {name: value for name, value in answer.headers.items() if name not in own}


async def test_what_it_gives_again_is_what_the_gateway_says(hub: FileHub, tmp_path: Path, seen: list[str]) -> None:
    async with front(hub, tmp_path / "data", seen) as server, connection_to(server.gateway) as direct:
        for method, path in (("GET", PATH), ("HEAD", PATH), ("HEAD", WEIGHTS)):
            kept = await server.ask_until_kept(method, path)
            through = await _ask(direct, method, path, "X-Forwarded-For: 127.0.0.1")
            assert (kept.status, kept.body, _told(kept)) == (200, through.body, _told(through))
            assert not any(name.startswith("x-accel") for name in kept.headers)
        assert hub.count("GET", cdn=True) == 0, "a HEAD stayed a HEAD"


async def test_large_files_are_sent_by_nginx(hub: FileHub, tmp_path: Path, seen: list[str]) -> None:
    async with front(hub, tmp_path / "data", seen) as server:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = await server.ask("GET", WEIGHTS)
                assert answer.body == LARGE
                if "last-modified" in answer.headers:  # as nginx says of files
                    break
        assert (answer.status, answer.body) == (200, LARGE)
        part = await server.ask("GET", WEIGHTS, "Range: bytes=7-13")
        assert (part.status, part.body) == (206, b"weights")


async def test_callers_share_nothing(hub: FileHub, tmp_path: Path, seen: list[str]) -> None:
    async with front(hub, tmp_path / "data", seen) as server:
        hub.repos["acme/demo"].tokens = {"hf_friend"}
        asked = [
            (method, f"{name}: {before}")
            for method in ("GET", "HEAD")
            for name, before in (("Authorization", "Bearer "), ("X-API-Key", ""))
        ]
        for method, said in asked:
            await server.ask_until_kept(method, PATH, f"{said}hf_friend")
            for others in ((), (f"{said}hf_stranger",), ("X-Forwarded-For: 203.0.113.9",)):
                assert (await server.is_asked(method, PATH, *others)).status in {400, 401, 404}
        await server.ask_until_kept("GET", PATH, FRIEND)
        elsewhere = socket.create_connection(urlsplit(server.url).netloc.split(":"), source_address=("127.0.0.2", 0))
        elsewhere.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=elsewhere)
        before = server.seen()
        answer = await _ask(Connection(reader, writer), "GET", PATH, FRIEND)
        writer.transport.abort()
        assert (answer.status, server.seen()) == (200, before + 1), "another machine's request is another's"


async def test_a_revoked_key_ends(hub: FileHub, tmp_path: Path, seen: list[str]) -> None:
    root = tmp_path / "data"
    key = await make_key(root, "mine", role=Role.READER)
    async with front(hub, root, seen, ACCESS__ANONYMOUS="none") as server:
        bearer = f"Authorization: Bearer {key}"
        assert (await server.ask_until_kept("GET", PATH, bearer)).body == SMALL
        before = server.seen()
        async with asyncio.timeout(PATIENCE_S):
            while server.seen() == before:  # what is kept is soon asked anew
                await server.ask("GET", PATH, bearer)
        assert (await server.ask_until_kept("GET", PATH, bearer)).body == SMALL
        assert (await server.is_asked("GET", PATH)).status == 401
        async with keys_of(root) as keys:
            await keys.revoke("mine")
        async with asyncio.timeout(PATIENCE_S):
            while (await server.ask("GET", PATH, bearer)).status != 401:
                pass
        for _ in range(3):
            assert (await server.is_asked("GET", PATH, bearer)).status == 401


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        (["Range: bytes=0-1"], 206, SMALL[:2]),
        (["Range: bytes=99999-"], 416, None),
        (["If-None-Match: *"], 304, b""),
        (['If-Match: "x"'], 412, None),
        (["Origin: https://elsewhere.example"], 200, SMALL),
        (["Sec-Fetch-Site: cross-site"], 200, SMALL),
        (["Accept: application/json"], 200, SMALL),
    ],
)
async def test_other_questions_are_the_gateways(
    hub: FileHub, tmp_path: Path, seen: list[str], headers: list[str], status: int, body: bytes | None
) -> None:
    async with front(hub, tmp_path / "data", seen) as server:
        await server.ask_until_kept("GET", PATH)
        answer = await server.is_asked("GET", PATH, *headers)
        assert answer.status == status
        assert body is None or answer.body == body


async def test_what_may_change_or_is_counted_is_asked_each_time(hub: FileHub, tmp_path: Path, seen: list[str]) -> None:
    root = tmp_path / "data"
    rules = tmp_path / "rules.toml"
    rules.write_text('[[limit]]\nname = "all"\ncallers = ["key:counted"]\nrequests = "1000/s"\n')
    limited = await make_key(root, "limited", role=Role.READER, repos=["acme/*"])
    counted = await make_key(root, "counted", role=Role.READER)
    free = await make_key(root, "free", role=Role.READER)
    async with front(hub, root, seen, POLICY__FILE=str(rules)) as server:
        for path, key in ((PATH, limited), (PATH, counted), (PATH.replace(COMMIT, "main"), free)):
            for _ in range(5):
                assert (await server.is_asked("GET", path, f"Authorization: Bearer {key}")).status == 200
        await server.ask_until_kept("GET", PATH, f"Authorization: Bearer {free}")
