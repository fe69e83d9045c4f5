"""A sandbox Hub in this process, and callers who speak HTTP to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from yarl import URL

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox

ALICE, ALICE_READ, ALICE_FINE = "hf_sandbox_alice", "hf_sandbox_alice_read", "hf_sandbox_alice_fine"
BOB = "hf_sandbox_bob"


@pytest.fixture
def config() -> SandboxConfig:
    """How the sandbox is set up; a test module that wants another one overrides this."""
    return SandboxConfig()


@pytest.fixture
async def sandbox(config: SandboxConfig) -> AsyncIterator[Sandbox]:
    async with running_sandbox(config) as running:
        yield running


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: bytes
    json: Any


Call = Callable[..., Awaitable[Answer]]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture
def call(sandbox: Sandbox, http: aiohttp.ClientSession) -> Call:
    """Sends one request: `call("GET", "/api/…", token=…, json=…)`; the path goes out as written."""

    async def send(method: str, path: str, token: str | None = None, **kwargs: Any) -> Answer:
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **kwargs.pop("headers", {})}
        url = URL(path if path.startswith("http") else sandbox.url + path, encoded=True)
        async with http.request(method, url, headers=headers, allow_redirects=False, **kwargs) as response:
            body = await response.read()
            is_json = response.content_type.endswith(("/json", "+json"))
            return Answer(response.status, response.headers, body, await response.json() if is_json and body else None)

    return send
