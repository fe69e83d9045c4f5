"""A gateway with rules, in front of a sandbox with a few repositories."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.support.gateway import Gateway, gateway_for
from tests.support.waiting import eventually

ALICE = {"Authorization": "Bearer hf_sandbox_alice"}
LFS = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
FILES = {
    "README.md": b"---\nlicense: mit\n---\n# demo\n",
    "config.json": b'{"hidden": 8}',
    "model.safetensors": b"\x08" * 4000,
    "model.pkl": b"\x80" * 3000,
    "old/data.PKL": b"\x80" * 100,
}


@dataclass(frozen=True)
class Answered:
    """What came back, read whole."""

    status: int
    headers: Any
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def rule(self) -> str | None:
        """The rule that denied it."""
        return self.json().get("rule") if self.status == 403 else None


@dataclass(frozen=True)
class Ruled:
    """A gateway whose callers have Alice's token behind them, its file of rules, and the sandbox itself."""

    gateway: Gateway
    sandbox: Sandbox
    file: Path

    async def ask(self, method: str, path: str, *, at: str | None = None, **options: Any) -> Answered:
        options.setdefault("allow_redirects", False)
        async with self.gateway.http.request(method, (at or self.gateway.url) + path, **options) as response:
            return Answered(response.status, response.headers, await response.read())

    async def on_the_hub(self, method: str, path: str, **options: Any) -> Answered:
        """The same, past the gateway, as Alice."""
        options["headers"] = {**ALICE, **options.get("headers", {})}
        return await self.ask(method, path, at=self.sandbox.url, **options)

    async def until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What the gateway says of its rules, once this is true of it."""

        async def state() -> dict[str, Any]:
            return (await self.ask("GET", "/-/policy")).json()

        return await eventually(state, true)


def commit(*lines: tuple[str, Any]) -> bytes:
    """The body of a commit."""
    header = {"key": "header", "value": {"summary": "s", "description": ""}}
    return b"".join(json.dumps(line).encode() + b"\n" for line in [header, *({"key": k, "value": v} for k, v in lines)])


def added(path: str, content: bytes) -> tuple[str, Any]:
    return "file", {"content": b64encode(content).decode(), "path": path, "encoding": "base64"}


async def make_repo(http: aiohttp.ClientSession, url: str, repo_id: str, files: dict[str, bytes]) -> None:
    owner, _, name = repo_id.partition("/")
    async with http.post(
        f"{url}/api/repos/create", json={"name": name, "organization": owner}, headers=ALICE
    ) as response:
        assert response.status == 200, await response.text()
    body = commit(*(added(path, content) for path, content in files.items()))
    async with http.post(f"{url}/api/models/{repo_id}/commit/main", data=body, headers=ALICE) as response:
        assert response.status == 200, await response.text()


Ruling = Callable[..., Awaitable[Ruled]]


@pytest.fixture
async def ruled(tmp_path: Path) -> AsyncIterator[Ruling]:
    """A function that starts a gateway with these rules."""
    async with AsyncExitStack() as stack:

        async def start(rules: str, **variables: str) -> Ruled:
            sandbox = await stack.enter_async_context(running_sandbox(SandboxConfig()))
            file = tmp_path / "rules.toml"
            file.write_text(rules)
            given = {"UPSTREAM__TOKEN": "hf_sandbox_alice", "ACCESS__ANONYMOUS": "admin", **variables}
            async with aiohttp.ClientSession() as http:
                await make_repo(http, sandbox.url, "alice/demo", FILES)
                await make_repo(http, sandbox.url, "acme/demo", FILES)
            gateway = await stack.enter_async_context(
                gateway_for(sandbox.url, tmp_path / "kept", POLICY__FILE=str(file), **given)
            )
            return Ruled(gateway, sandbox, file)

        yield start
