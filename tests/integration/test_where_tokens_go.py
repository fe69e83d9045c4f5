"""The configured Hub token and the callers' keys go to the Hub's own origin or nowhere, whatever a redirect says."""

from pathlib import Path

import pytest

from tests.integration.access.test_callers import make_key
from tests.support.gateway import gateway_for
from tests.support.scripted_hub import Asked, says, scripted_hub

TOKEN = "hf_gateway_token_of_the_tests"
CALLS = [
    ("GET", "/api/account"),
    ("POST", "/api/repo"),
    ("GET", "/api/models/acme/demo"),
    ("POST", "/api/models/acme/demo/commit/main"),
    ("GET", "/acme/demo/resolve/main/config.json"),
    ("HEAD", "/acme/demo/resolve/main/config.json"),
    ("GET", "/acme/demo.git/info/refs?service=git-upload-pack"),
]


def secrets_in(asked: Asked, *secrets: str) -> list[str]:
    told = repr(asked)
    return [secret for secret in secrets if secret in told]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_takes_a_secret_elsewhere(method: str, path: str, status: int, tmp_path: Path) -> None:
    key = await make_key(tmp_path)
    body = '{"type": "model", "name": "acme/demo"}' if method == "POST" else None
    async with (
        scripted_hub(says(200, b'{"name": "mallory", "id": "acme/demo"}')) as other,
        scripted_hub(says(200)) as hub,
    ):
        port, other_port = hub.url.rpartition(":")[2], other.url.rpartition(":")[2]
        for location in (
            f"{other.url}/x",
            f"//127.0.0.1:{other_port}/x",
            f"http://127.0.0.1:{port}@127.0.0.1:{other_port}/x",
            f"http://localhost:{other_port}/x",
        ):
            hub.reply = says(status, Location=location)
            async with gateway_for(hub.url, tmp_path) as gateway:
                headers = {"Authorization": f"Bearer {key}", "X-API-Key": key}
                async with gateway.http.request(
                    method, gateway.url + path, headers=headers, data=body, allow_redirects=False
                ) as response:
                    await response.read()
                    assert response.status != 500, location
        assert hub.asked
        assert all(secrets_in(asked, key) == [] for asked in hub.asked)
        assert all(secrets_in(asked, key, TOKEN) == [] for asked in other.asked)


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_a_redirect_with_a_name_and_a_password_in_it_is_no_fault_of_ours(
    method: str, path: str, tmp_path: Path
) -> None:
    body = '{"type": "model", "name": "acme/demo"}' if method == "POST" else None
    async with scripted_hub(says(200)) as hub, gateway_for(hub.url, tmp_path) as gateway:
        hub.reply = says(307, Location=hub.url.replace("http://", "http://mallory:word@") + "/x")
        async with gateway.http.request(method, gateway.url + path, data=body, allow_redirects=False) as response:
            await response.read()
            assert response.status != 500


@pytest.mark.parametrize("location", ["", "http://[", "http://a:99999/", "http://%zz/", "ftp://x/", "\\\\evil"])
@pytest.mark.parametrize("path", ["/api/account", "/acme/demo/resolve/main/config.json"])
async def test_a_redirect_to_nowhere_is_the_hubs_mistake(path: str, location: str, tmp_path: Path) -> None:
    async with (
        scripted_hub(says(307, Location=location)) as hub,
        gateway_for(hub.url, tmp_path) as gateway,
        gateway.http.get(gateway.url + path, allow_redirects=False) as response,
    ):
        assert response.status == 502


async def test_a_websocket_that_is_redirected_takes_no_secret_along(tmp_path: Path) -> None:
    key = await make_key(tmp_path)
    async with scripted_hub(says(200)) as other, scripted_hub(says(302, Location=f"{other.url}/x")) as hub:
        async with gateway_for(hub.url, tmp_path) as gateway:
            headers = {
                "Authorization": f"Bearer {key}", "Upgrade": "websocket", "Connection": "Upgrade",
                "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }  # fmt: skip
            async with gateway.http.get(f"{gateway.url}/ws", headers=headers, allow_redirects=False) as response:
                assert response.status != 101
        assert secrets_in(hub.asked[0], TOKEN) == [TOKEN]
        assert all(secrets_in(asked, key, TOKEN) == [] for asked in other.asked)


async def test_no_netrc_and_no_environment_speaks_for_a_gateway_without_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password of-this-machine\ndefault login x password y\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with (
        scripted_hub(says(200, b'{"name": "nobody"}')) as hub,
        gateway_for(hub.url, tmp_path, UPSTREAM__TOKEN="") as gateway,
    ):
        for path in ("/api/account", "/api/models/acme/demo", "/acme/demo/resolve/main/config.json"):
            async with gateway.http.get(gateway.url + path) as response:
                await response.read()
        assert len(hub.asked) == 3
        assert all("authorization" not in asked.headers for asked in hub.asked)
