"""HTTPS for our clients, over real sockets."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from hfproxy.certificates import CertificateFiles
from hfproxy.downstream.tls import ServingCertificate
from tests.support.certificates import Authority, Files
from tests.support.gateway import Gateway, gateway_for
from tests.support.scripted_hub import says, scripted_hub
from tests.support.waiting import PATIENCE_S

ALICE = says(200, b'{"type": "user", "name": "alice", "fullname": "Alice", "orgs": []}')


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def _https_gateway(files: Files, root: Path, **variables: str) -> AsyncIterator[Gateway]:
    given = {"SERVER__TLS_CERTIFICATE": str(files.certificate), "SERVER__TLS_KEY": str(files.key), **variables}
    async with scripted_hub(ALICE) as hub, gateway_for(hub.url, root, **given) as gateway:
        yield gateway


async def test_a_client_that_trusts_the_authority_is_served(authority: Authority, tmp_path: Path) -> None:
    async with _https_gateway(authority.sign(), tmp_path) as gateway:
        assert gateway.url.startswith("https://127.0.0.1:")
        async with gateway.http.get(f"{gateway.url}/api/account", ssl=authority.client_context()) as response:
            assert (response.status, (await response.json())["name"]) == (200, "alice")
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await gateway.http.get(f"{gateway.url}/api/account")


async def test_tls_1_1_is_refused(authority: Authority, tmp_path: Path) -> None:
    context = authority.client_context()
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    async with _https_gateway(authority.sign(), tmp_path) as gateway:
        with pytest.raises(aiohttp.ClientConnectorError):
            await gateway.http.get(f"{gateway.url}/api/account", ssl=context)


async def test_plain_http_on_the_tls_port_is_told_so(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with _https_gateway(authority.sign(), tmp_path) as gateway:
        plain = gateway.url.replace("https://", "http://")
        async with gateway.http.get(f"{plain}/api/account") as response:
            assert response.status == 400
            assert "https://" in await response.text()
        async with gateway.http.get(f"{gateway.url}/api/account", ssl=authority.client_context()) as response:
            assert response.status == 200
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("noise", [b"\x16\x03\x01", b"\x00" * 64, b"SSH-2.0-OpenSSH_9.2\r\n", b""])
async def test_noise_on_the_tls_port_ends_quietly(
    noise: bytes, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with _https_gateway(authority.sign(), tmp_path) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        writer.write(noise)
        writer.write_eof()
        assert not (await reader.read()).startswith(b"HTTP")
        writer.close()
        await writer.wait_closed()
        async with gateway.http.get(f"{gateway.url}/api/account", ssl=authority.client_context()) as response:
            assert response.status == 200
    assert not [record for record in caplog.records if record.exc_info]


async def test_tls_on_the_plain_port_ends_quietly(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted_hub(ALICE) as hub, gateway_for(hub.url, tmp_path) as gateway:
        with pytest.raises(aiohttp.ClientConnectorSSLError):
            await gateway.http.get(gateway.url.replace("http://", "https://"), ssl=authority.client_context())
        async with gateway.http.get(f"{gateway.url}/api/account") as response:
            assert response.status == 200
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


async def _serial(port: int, context: ssl.SSLContext) -> int:
    """The serial number of the certificate that a new connection is shown."""
    _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(der).serial_number


def _serial_in(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


async def test_changed_files_are_shown_to_new_connections_and_old_ones_live_on(
    authority: Authority, tmp_path: Path
) -> None:
    served, later = authority.sign(file="served"), authority.sign(file="later")
    certificate = ServingCertificate(CertificateFiles(served.certificate, served.key))
    context = authority.client_context()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=certificate.context)
    port = server.sockets[0].getsockname()[1]
    async with server, certificate.following_files(every=timedelta(milliseconds=5)):
        before = _serial_in(served.certificate)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        assert await _serial(port, context) == before
        # The certificate arrives before its key: for a moment the pair is unusable, and the old one is still shown.
        shutil.copy(later.certificate, served.certificate)
        for _ in range(20):
            assert await _serial(port, context) == before
        shutil.copy(later.key, served.key)
        async with asyncio.timeout(PATIENCE_S):
            while (shown := await _serial(port, context)) == before:
                pass
        assert shown == _serial_in(later.certificate)
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        served.key.unlink()
        assert await _serial(port, context) == _serial_in(later.certificate)
        writer.close()
        await writer.wait_closed()
