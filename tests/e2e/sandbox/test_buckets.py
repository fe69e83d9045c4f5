"""The real client uses the sandbox's buckets as the Hub's, directly and through a gateway."""

from pathlib import Path
from random import Random

import pytest

from hfproxy.sandbox.server import Sandbox
from tests.support.clients import Client, environment
from tests.support.gateway import gateway_for

SCRIPT = Path(__file__).parent / "scenarios" / "buckets.py"


@pytest.mark.parametrize("through_a_gateway", [False, True])
async def test_a_bucket_lives_as_on_the_hub(
    newest_client: Client, sandbox: Sandbox, tmp_path: Path, through_a_gateway: bool
) -> None:
    (tmp_path / "weights.bin").write_bytes(Random(3).randbytes(300_000))
    if through_a_gateway:
        async with gateway_for(sandbox.url, tmp_path / "kept", UPSTREAM__TOKEN="") as gateway:
            await _live(newest_client, gateway.url, tmp_path)
    else:
        await _live(newest_client, sandbox.url, tmp_path)


async def _live(client: Client, endpoint: str, folder: Path) -> None:
    env = environment(endpoint, folder / "home", "hf_sandbox_alice")
    del env["HF_HUB_DISABLE_XET"]
    finished = await client.run(client.python, SCRIPT, folder, env=env)
    assert finished.out.split() == ["done"], str(finished)
