"""A gateway that listens on an IPv6 address, before a Hub that does."""

import socket
from pathlib import Path

import pytest
from yarl import URL

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import running_sandbox
from tests.support.gateway import gateway_for


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
async def test_calls_files_and_addresses_in_answers_are_right(tmp_path: Path) -> None:
    forwarded = {"Forwarded": 'for="[2001:db8::7]:4711";host="[2001:db8::1]:8443";proto=https'}
    async with (
        running_sandbox(SandboxConfig(host="::1", seed="demo")) as hub,
        gateway_for(
            hub.url,
            tmp_path,
            UPSTREAM__TOKEN="hf_sandbox_alice",
            SERVER__HOST="::1",
            SERVER__TRUSTED_PROXIES="::1/128",
            SERVER__FORWARDED_HEADER="forwarded",
            ACCESS__ANONYMOUS="reader",
        ) as gateway,
    ):
        assert URL(gateway.url).host == "::1"
        for name in ("README.md", "model.safetensors"):  # from the Hub, and from its CDN
            async with gateway.http.get(f"{gateway.url}/alice/tiny-sentence-encoder/resolve/main/{name}") as response:
                assert response.status == 200
                assert await response.read()
        async with gateway.http.get(f"{gateway.url}/api/models?limit=1") as response:
            assert str(response.links["next"]["url"]).startswith(f"{gateway.url}/api/models?")
        async with gateway.http.get(f"{gateway.url}/api/models?limit=1", headers=forwarded) as response:
            assert str(response.links["next"]["url"]).startswith("https://[2001:db8::1]:8443/api/models?")
