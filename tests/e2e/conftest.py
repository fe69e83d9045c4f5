"""The clients that judge: every generation, or the newest alone."""

from collections.abc import AsyncIterator

import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.support.clients import NEWEST, VERSIONS, Client
from tests.support.clients import client as built_client


@pytest.fixture(params=VERSIONS)
def client(request: pytest.FixtureRequest) -> Client:
    """Each generation of `huggingface_hub` in turn."""
    return built_client(request.param)


@pytest.fixture
def newest_client() -> Client:
    return built_client(NEWEST)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox(SandboxConfig()) as running:
        yield running
