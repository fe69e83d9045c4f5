"""Every generation of the real client, in a process of its own, takes the sandbox for the Hub."""

from pathlib import Path

import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.support.clients import Client, environment

from .scenarios.names import NAMES

SCENARIOS = Path(__file__).parent / "scenarios"


@pytest.mark.parametrize("scenario", ["repositories", "content", "discussions", "services"])
async def test_a_client_finds_everything_as_on_the_hub(
    client: Client, sandbox: Sandbox, tmp_path: Path, scenario: str
) -> None:
    env = environment(sandbox.url, tmp_path)
    finished = await client.run(client.python, SCENARIOS / f"{scenario}.py", env=env)
    assert finished.code == 0, str(finished)
    assert finished.out.splitlines() == [f"passed {name}" for name in NAMES[scenario]]


async def test_a_listing_is_read_over_all_its_pages(client: Client, tmp_path: Path) -> None:
    async with running_sandbox(SandboxConfig(page_size=2)) as sandbox:
        finished = await client.run(
            client.python, SCENARIOS / "pages.py", env=environment(sandbox.url, tmp_path, "hf_sandbox_alice")
        )
        assert finished.code == 0, str(finished)
        asked = [asked for asked in sandbox.asked if asked.raw_path == "/api/models" and "cursor=" in asked.query]
    assert len(asked) >= 2
