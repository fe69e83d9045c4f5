"""The sandbox over HTTPS: a certificate that is right, and three that every client must refuse."""

import ssl
from pathlib import Path
from typing import get_args

import aiohttp
import pytest

from hfproxy.sandbox.server import SandboxConfig, running_sandbox
from hfproxy.sandbox.tls import Kind, made_context

WEIGHTS = "/alice/tiny-sentence-encoder/resolve/main/model.safetensors"


async def test_hub_and_cdn_speak_tls_below_one_authority(http, tmp_path: Path):
    async with running_sandbox(SandboxConfig(seed="demo", tls="valid", data=tmp_path)) as sandbox:
        assert sandbox.url.startswith("https://127.0.0.1:") and sandbox.cdn_url.startswith("https://localhost:")
        trusting = ssl.create_default_context(cafile=sandbox.authority)
        async with http.get(sandbox.url + WEIGHTS, ssl=trusting) as answer:
            assert answer.status == 200 and str(answer.url).startswith(sandbox.cdn_url)
            assert len(await answer.read()) == int(answer.headers["Content-Length"])
        with pytest.raises(aiohttp.ClientConnectorCertificateError, match="verify failed"):
            await http.get(sandbox.url)
        authority = sandbox.authority.read_bytes()
    async with running_sandbox(SandboxConfig(tls="valid", data=tmp_path)) as sandbox:
        assert sandbox.authority.read_bytes() == authority, "it is trusted once"
    assert (tmp_path / "tls" / "ca-key.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("kind", "said"),
    [("expired", "expired"), ("self-signed", "self.signed"), ("wrong-host", "IP address mismatch")],
)
async def test_each_wrong_certificate_is_wrong_in_one_way(http, kind: Kind, said: str):
    async with running_sandbox(SandboxConfig(tls=kind)) as sandbox:
        trusting = ssl.create_default_context(cafile=sandbox.authority)
        with pytest.raises(aiohttp.ClientConnectorCertificateError, match=said):
            await http.get(sandbox.url, ssl=trusting)


async def test_a_certificate_of_the_users_own(http, tmp_path: Path):
    made_context(tmp_path, "valid", ["127.0.0.1", "localhost"])
    config = SandboxConfig(certificate=(tmp_path / "cert.pem", tmp_path / "key.pem"))
    async with running_sandbox(config) as sandbox:
        trusting = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        async with http.get(f"{sandbox.url}/api/agent-harnesses", ssl=trusting) as answer:
            assert answer.status == 200
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(ssl.SSLError):
        async with running_sandbox(config):
            raise AssertionError("it listens")


async def test_a_cut_under_tls_is_no_orderly_end(http):
    async with running_sandbox(SandboxConfig(seed="demo", tls="valid")) as sandbox:
        trusting = ssl.create_default_context(cafile=sandbox.authority)
        async with http.put(sandbox.url + "/-/trouble", data=b"cut=1000,origin=cdn", ssl=trusting) as answer:
            assert answer.status == 200
        async with http.get(sandbox.url + WEIGHTS, ssl=trusting) as answer:
            assert len(await answer.content.readexactly(1000)) == 1000
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.read()


def test_the_kinds_are_those_of_the_command_line():
    assert get_args(Kind) == ("valid", "expired", "self-signed", "wrong-host")
