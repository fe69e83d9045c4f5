"""Clients that are not Python: `@huggingface/hub` in node, and curl."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hfproxy.sandbox.pointers import Pointer
from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.support.gateway import Gateway, gateway_for
from tests.support.javascript import javascript_client, needs_npm
from tests.support.waiting import PATIENCE_S

SCENARIO = Path(__file__).parent / "scenarios" / "hub.mjs"
PREFIX = "/team/hub"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    config = SandboxConfig(multipart_from_bytes=10_000_000, part_bytes=5_000_000, xet=True)
    async with running_sandbox(config) as running:
        yield running


@pytest.fixture
def mode() -> str:
    return "relay"


@pytest.fixture
async def gateway(sandbox: Sandbox, tmp_path: Path, mode: str) -> AsyncIterator[Gateway]:
    variables = {"UPSTREAM__TOKEN": "", "SERVER__PATH_PREFIX": PREFIX, "XET__MODE": mode}
    async with gateway_for(sandbox.url, tmp_path / "data", **variables) as running:
        yield running


async def run(*command: str | Path, folder: Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


@needs_npm
@pytest.mark.parametrize(("prefix", "mode"), [("", "relay"), (PREFIX, "relay"), ("", "http")])
async def test_the_javascript_client_moves_files_both_ways(gateway: Gateway, prefix: str, mode: str) -> None:
    folder = await asyncio.to_thread(javascript_client)
    script = folder / f"hub-{'prefix' if prefix else 'root'}-{mode}.mjs"
    script.write_text(SCENARIO.read_text())
    code, said = await run("node", script, gateway.url + prefix, "hf_sandbox_alice", mode, folder=folder)
    assert (code, said.strip()) == (0, "passed"), said


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_goes_on_where_it_stopped(sandbox: Sandbox, gateway: Gateway, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    hub = sandbox.hub
    repo = hub.create_repo(RepoRef.parse(RepoType.MODEL, "alice/large"), by="alice")
    oid = hub.objects.put(content)
    hub.lfs_received(repo, oid, len(content), by="alice")
    hub.commit(repo, {"big file.bin": bytes(Pointer(oid, len(content)))}, "Add", by="alice")
    (tmp_path / "got").write_bytes(content[:1_234_567])
    url = f"{gateway.url}{PREFIX}/alice/large/resolve/main/big%20file.bin"
    code, said = await run("curl", "-sSfL", "-C", "-", "-o", "got", url, folder=tmp_path)
    assert code == 0, said
    assert (tmp_path / "got").read_bytes() == content
