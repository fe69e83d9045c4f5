"""A gateway on a free port, for tests that speak to it over a real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from hfproxy.server import running_gateway
from hfproxy.settings_loading import load_settings


@dataclass(frozen=True)
class Gateway:
    """Where it listens, and a client session that belongs to the test."""

    url: str
    http: aiohttp.ClientSession


@asynccontextmanager
async def gateway_for(upstream: str, root: Path, **variables: str) -> AsyncIterator[Gateway]:
    """A gateway before `upstream`. variables: settings without prefix, as `UPSTREAM__ANSWER_TIMEOUT="1s"`."""
    environ = {
        "HF_ENDPOINT": upstream,
        "HFPROXY_UPSTREAM__TOKEN": "hf_gateway_token_of_the_tests",
        "HFPROXY_SERVER__PORT": "0",
        "HFPROXY_STORAGE__ROOT": str(root),
        **{f"HFPROXY_{name}": value for name, value in variables.items()},
    }
    settings = load_settings(environ=environ, dotenv=None).settings
    async with running_gateway(settings) as url, aiohttp.ClientSession() as http:
        yield Gateway(url, http)
