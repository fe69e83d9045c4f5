"""The real client uses the sandbox's buckets as the Hub's, directly and through a gateway, also with a limited key."""

from pathlib import Path
from random import Random

import pytest

from hfproxy.sandbox.server import Sandbox
from tests.integration.access.test_callers import make_key
from tests.support.clients import Client, environment
from tests.support.gateway import gateway_for
from tests.support.namespaces import missing, walled_in

ALICE = "hf_sandbox_alice"
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


async def test_a_key_for_buckets_alone_uses_them_where_only_the_gateway_can_be_reached(
    newest_client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    (tmp_path / "weights.bin").write_bytes(Random(4).randbytes(300_000))
    key = await make_key(tmp_path / "kept", "pools", repos=["buckets/alice/*"])
    variables = {"UPSTREAM__TOKEN": "hf_sandbox_alice"}
    with walled_in() as network:
        variables["SERVER__HOST"] = network.address
        async with gateway_for(sandbox.url, tmp_path / "kept", **variables) as gateway:
            await _live(newest_client, gateway.url, tmp_path, "limited", token=key, prefix=network.prefix)


async def _live(
    client: Client, endpoint: str, folder: Path, *more: str, token: str = ALICE, prefix: tuple[str, ...] = ()
) -> None:
    env = environment(endpoint, folder / "home", token)
    del env["HF_HUB_DISABLE_XET"]
    finished = await client.run(*prefix, client.python, SCRIPT, folder, *more, env=env)
    assert finished.out.split() == ["done"], str(finished)
