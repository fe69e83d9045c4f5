"""A network where the gateway is the only way out."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.support.gateway import Gateway, gateway_for

# The gateway's own address; whatever else a client tries to reach, it must ask a proxy that is not there.
GATE = "127.0.0.7"
PREFIX = "/team/hub"
WALLED_IN = {
    **dict.fromkeys(["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"], "http://127.0.0.1:9"),
    **dict.fromkeys(["NO_PROXY", "no_proxy"], GATE),
}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox that asks for large files in parts."""
    async with running_sandbox(SandboxConfig(multipart_from_bytes=10_000_000, part_bytes=5_000_000)) as running:
        yield running


@pytest.fixture
async def gateway(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Gateway]:
    variables = {"UPSTREAM__TOKEN": "", "SERVER__HOST": GATE, "SERVER__PATH_PREFIX": PREFIX}
    async with gateway_for(sandbox.url, tmp_path / "data", **variables) as running:
        yield running
