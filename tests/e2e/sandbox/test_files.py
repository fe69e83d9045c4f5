"""Every generation of the real client moves bytes to and from the sandbox, in trouble too."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.support.clients import Client, environment

from .scenarios.names import NAMES

SCENARIO = Path(__file__).parent / "scenarios" / "files.py"
MIB = 1024 * 1024


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    config = SandboxConfig(seed="demo", part_bytes=5 * MIB, multipart_from_bytes=10 * MIB)
    async with running_sandbox(config) as running:
        yield running


async def test_a_client_moves_bytes_as_to_and_from_the_hub(client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    finished = await client.run(client.python, SCENARIO, env=environment(sandbox.url, tmp_path))
    assert finished.code == 0, str(finished)
    assert finished.out.splitlines() == [f"passed {name}" for name in NAMES["files"]]
    cdn = [asked for asked in sandbox.asked if asked.origin == "cdn"]
    assert cdn and not any("Authorization" in asked.headers for asked in cdn)
    parts = [asked for asked in cdn if asked.method == "PUT" and "partNumber=5&" in asked.query]
    assert parts, "the large file went up in five parts"
    resumed = [
        asked for asked in cdn if asked.headers.get("Range", "").startswith(("bytes=10485760-", "bytes=11534336-"))
    ]
    assert resumed, "the cut body was taken up again where it ended"


async def test_the_command_line_moves_bytes_too(newest_client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    env = environment(sandbox.url, tmp_path, "hf_sandbox_alice")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "weights.bin").write_bytes(bytes(range(256)) * 40)
    up = await newest_client.run(newest_client.hf, "upload", "alice/cli", tmp_path / "folder", env=env)
    assert up.code == 0, str(up)
    down = await newest_client.run(newest_client.hf, "download", "alice/cli", "--local-dir", tmp_path / "back", env=env)
    assert down.code == 0, str(down)
    assert (tmp_path / "back" / "weights.bin").read_bytes() == bytes(range(256)) * 40
    refused = await newest_client.run(newest_client.hf, "download", "bob/voice-cloner-research", "config.json", env=env)
    assert refused.code != 0 and "requires approval" in refused.err
