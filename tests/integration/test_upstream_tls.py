"""TLS on the way to the Hub, with real certificates over real sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority
from tests.support.connect_proxy import connect_proxy
from tests.support.gateway import gateway_for
from tests.support.scripted_hub import ScriptedHub, says, scripted_hub

ALICE = says(200, b'{"type": "user", "name": "alice", "fullname": "Alice", "orgs": []}')


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def _account(upstream: str, root: Path, **variables: str) -> tuple[int, dict[str, Any]]:
    async with (
        gateway_for(upstream, root, **variables) as gateway,
        gateway.http.get(f"{gateway.url}/api/account") as response,
    ):
        return response.status, await response.json(content_type=None)


def _port(hub: ScriptedHub) -> int:
    return int(hub.url.rpartition(":")[2])


async def test_a_private_authority_is_trusted_once_it_is_named(authority: Authority, tmp_path: Path) -> None:
    async with scripted_hub(ALICE, tls=authority.server_context()) as hub:
        status, problem = await _account(hub.url, tmp_path)
        assert (status, problem["code"]) == (502, "HubUntrusted")
        assert "HFPROXY_UPSTREAM__CA" in problem["detail"]
        assert hub.asked == []
        status, account = await _account(hub.url, tmp_path, UPSTREAM__CA=str(authority.file))
        assert (status, account["name"]) == (200, "alice")


async def test_a_folder_of_authorities_is_trusted_whole(authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "authorities"
    folder.mkdir()
    Authority(folder, name="another")
    (folder / "README").write_text("certificates of the company")
    (folder / "corp.crt").write_bytes(authority.file.read_bytes())
    async with scripted_hub(ALICE, tls=authority.server_context()) as hub:
        status, _ = await _account(hub.url, tmp_path, UPSTREAM__CA=str(folder))
        assert status == 200


@pytest.mark.parametrize(
    ("names", "days", "reason"),
    [
        (("hub.example.com",), 30, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        (("127.0.0.1",), -3, "certificate has expired"),
    ],
)
async def test_a_certificate_for_another_host_or_time_is_not_trusted(
    names: tuple[str, ...], days: int, reason: str, authority: Authority, tmp_path: Path
) -> None:
    async with scripted_hub(ALICE, tls=authority.server_context(*names, days=days)) as hub:
        status, problem = await _account(hub.url, tmp_path, UPSTREAM__CA=str(authority.file))
        assert (status, problem["code"]) == (502, "HubUntrusted")
        assert problem["detail"] == f"127.0.0.1: {reason}"
        assert hub.asked == []


async def test_a_self_signed_certificate_is_trusted_only_when_named(tmp_path: Path) -> None:
    certificate, key = tmp_path / "self.pem", tmp_path / "self-key.pem"
    openssl = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
        *("-subj", "/CN=hub", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await openssl.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with scripted_hub(ALICE, tls=context) as hub:
        status, problem = await _account(hub.url, tmp_path)
        assert (status, problem["code"]) == (502, "HubUntrusted")
        assert problem["detail"].startswith("127.0.0.1: self-signed certificate")
        assert (await _account(hub.url, tmp_path, UPSTREAM__CA=str(certificate)))[0] == 200


async def test_what_is_older_than_tls_1_2_is_not_spoken(authority: Authority, tmp_path: Path) -> None:
    context = authority.server_context()
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    async with scripted_hub(ALICE, tls=context) as hub:
        status, problem = await _account(hub.url, tmp_path, UPSTREAM__CA=str(authority.file))
        assert (status, problem["code"]) == (502, "HubUnreachable")
        assert problem["detail"].endswith(": hung up during the TLS handshake")
        assert hub.asked == []


async def test_our_certificate_is_shown_to_a_hub_that_asks_for_one(authority: Authority, tmp_path: Path) -> None:
    staff = Authority(tmp_path, name="staff")
    ours = staff.sign("gateway.example.com", file="gateway")
    context = authority.server_context(clients=staff)
    async with scripted_hub(ALICE, tls=context) as hub:
        status, _ = await _account(
            hub.url,
            tmp_path,
            UPSTREAM__CA=str(authority.file),
            UPSTREAM__CLIENT_CERTIFICATE=str(ours.certificate),
            UPSTREAM__CLIENT_KEY=str(ours.key),
        )
        assert status == 200


async def test_a_hub_that_misses_our_certificate_is_reported_as_such(authority: Authority, tmp_path: Path) -> None:
    staff, server = Authority(tmp_path, name="staff"), authority.sign()
    async with _openssl_server(
        *("-cert", server.certificate, "-key", server.key, "-Verify", "1", "-CAfile", staff.file, "-www")
    ) as port:
        status, problem = await _account(f"https://127.0.0.1:{port}", tmp_path, UPSTREAM__CA=str(authority.file))
        assert (status, problem["code"]) == (502, "HubUnreachable")
        assert "HFPROXY_UPSTREAM__CLIENT_CERTIFICATE" in problem["detail"]


@asynccontextmanager
async def _silent_server() -> AsyncIterator[int]:
    """The port of a server that takes what it is sent and says nothing."""

    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def _openssl_server(*options: str | Path) -> AsyncIterator[int]:
    """OpenSSL's own server, which sends its alerts as real servers do and asyncio's does not."""
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", "127.0.0.1:0", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if line.startswith(b"ACCEPT"):
                yield int(line.rpartition(b":")[2])
                break
    finally:
        process.kill()
        await process.communicate()


async def test_https_to_a_plain_port_says_so(tmp_path: Path) -> None:
    async with gateway_for("https://hub.example.com", tmp_path / "plain") as plain:
        upstream = plain.url.replace("http://", "https://")
        status, problem = await _account(upstream, tmp_path / "asking")
        assert (status, problem["code"]) == (502, "HubUnreachable")
        assert problem["detail"].startswith("no TLS connection: ")
        assert "plain HTTP" in problem["detail"]


async def test_plain_http_to_a_tls_port_is_an_error_of_the_hubs(authority: Authority, tmp_path: Path) -> None:
    async with scripted_hub(ALICE, tls=authority.server_context()) as hub:
        status, problem = await _account(hub.url.replace("https://", "http://"), tmp_path)
        assert (status, problem["code"]) == (502, "HubBroke")
        assert hub.asked == []


async def test_a_hub_that_never_shakes_hands_is_slow_not_waited_for(tmp_path: Path) -> None:
    async with _silent_server() as port:
        status, problem = await _account(f"https://127.0.0.1:{port}", tmp_path, UPSTREAM__CONNECT_TIMEOUT="200ms")
    assert (status, problem["code"]) == (504, "HubSlow")


async def test_the_companys_proxy_is_asked_for_a_tunnel_and_sees_no_token(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        scripted_hub(ALICE, tls=authority.server_context("hub.example.com")) as hub,
        connect_proxy(_port(hub), user="gateway:pass word") as proxy,
    ):
        status, _ = await _account(
            "https://hub.example.com",
            tmp_path,
            UPSTREAM__CA=str(authority.file),
            UPSTREAM__PROXY=f"http://gateway:pass%20word@127.0.0.1:{proxy.port}",
        )
        assert status == 200
        assert proxy.asked == ["CONNECT hub.example.com:443 HTTP/1.1"]
        assert b"hf_gateway_token" not in proxy.heads[0]
        # The password is the proxy's alone.
        assert "proxy-authorization" not in hub.asked[0].headers
        assert hub.asked[0].headers["authorization"] == "Bearer hf_gateway_token_of_the_tests"


async def test_the_proxy_may_itself_speak_tls(authority: Authority, tmp_path: Path) -> None:
    async with (
        scripted_hub(ALICE, tls=authority.server_context("hub.example.com")) as hub,
        connect_proxy(_port(hub), tls=authority.server_context("127.0.0.1")) as proxy,
    ):
        status, _ = await _account(
            "https://hub.example.com",
            tmp_path,
            UPSTREAM__CA=str(authority.file),
            UPSTREAM__PROXY=f"https://127.0.0.1:{proxy.port}",
        )
        assert (status, len(proxy.asked)) == (200, 1)


async def test_a_proxy_that_wants_another_password_is_named_and_the_password_is_not(
    authority: Authority, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with connect_proxy(1, user="gateway:right") as proxy:
        status, problem = await _account(
            "https://hub.example.com", tmp_path, UPSTREAM__PROXY=f"gateway:wrong-password@127.0.0.1:{proxy.port}"
        )
    assert (status, problem["code"]) == (502, "HubUnreachable")
    assert problem["detail"] == "the proxy on the way answers 407 Proxy Authentication Required"
    said = "".join(capfd.readouterr()) + str(problem)
    assert "wrong-password" not in said


async def test_a_proxy_that_is_down_is_named(tmp_path: Path) -> None:
    async with connect_proxy(1) as proxy:
        port = proxy.port
    status, problem = await _account("https://hub.example.com", tmp_path, UPSTREAM__PROXY=f"http://127.0.0.1:{port}")
    assert (status, problem["code"]) == (502, "HubUnreachable")
    assert problem["detail"].startswith(f"the proxy on the way, 127.0.0.1:{port}: ")


async def test_a_proxy_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    async with _silent_server() as port:
        way = {"UPSTREAM__PROXY": f"http://gateway:secret-word@127.0.0.1:{port}", "UPSTREAM__CONNECT_TIMEOUT": "200ms"}
        async with gateway_for("https://hub.example.com", tmp_path, **way) as gateway:
            for path in ("/api/models/acme/demo/refs", "/acme/demo/resolve/main/config.json"):
                async with gateway.http.get(gateway.url + path) as response:
                    said = await response.text()
                assert (response.status, response.headers["X-Error-Code"]) == (504, "HubSlow")
                assert "secret-word" not in said


async def test_loopback_is_reached_without_the_proxy(authority: Authority, tmp_path: Path) -> None:
    async with scripted_hub(ALICE, tls=authority.server_context()) as hub, connect_proxy(1) as proxy:
        status, _ = await _account(
            hub.url, tmp_path, UPSTREAM__CA=str(authority.file), UPSTREAM__PROXY=f"http://127.0.0.1:{proxy.port}"
        )
        assert (status, proxy.asked) == (200, [])


async def test_a_password_in_netrc_is_never_sent(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password from-netrc\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with (
        scripted_hub(ALICE) as hub,
        gateway_for(hub.url, tmp_path, UPSTREAM__TOKEN="") as gateway,
        gateway.http.get(f"{gateway.url}/api/account"),
    ):
        assert hub.asked
        assert all("Basic" not in asked.headers.get("authorization", "") for asked in hub.asked)
