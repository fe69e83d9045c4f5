"""schemathesis attacks a running gateway by its own description, with all its checks, and finds nothing."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from hfproxy.downstream.access import Role
from hfproxy.features.access.service import KeyService
from hfproxy.features.access.store import KeyStore
from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import running_sandbox
from hfproxy.storage.opening import open_database
from tests.support.gateway import gateway_for

SECONDS = os.environ.get("HFPROXY_TEST_ATTACK_S", "60")


@pytest.mark.timeout(300)
async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    async with open_database(tmp_path / "kept") as database:
        _, key = await KeyService(store=KeyStore(database)).create("attacker", Role.ADMIN)
    async with (
        running_sandbox(SandboxConfig(seed=None)) as hub,
        gateway_for(
            hub.url, tmp_path / "kept", UPSTREAM__TOKEN="hf_sandbox_alice", ACCESS__ANONYMOUS="none"
        ) as gateway,
    ):
        attack = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{gateway.url}/-/openapi.json",
            f"--header=Authorization: Bearer {key}",
            f"--max-time={SECONDS}",
            "--generation-deterministic",
            # How long something takes says what else the machine is doing.
            "--request-timeout=120",
            "--suppress-health-check=too_slow",
            "--no-color",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await attack.communicate()
        finally:
            if attack.returncode is None:
                attack.kill()
                await attack.wait()
    assert attack.returncode == 0, output.decode()
    assert b"Tested: " in output
