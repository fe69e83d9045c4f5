"""Pages of other sites cannot use the rights of the machine or the person that shows them."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.access.test_callers import make_key
from tests.support.gateway import Gateway, gateway_for
from tests.support.scripted_hub import ScriptedHub, says, scripted_hub

MADE = b'{"name": "alice/demo", "url": "https://huggingface.co/alice/demo"}'
BODY = '{"type": "model", "name": "alice/demo", "private": true}'


@pytest.fixture
async def hub() -> AsyncIterator[ScriptedHub]:
    async with scripted_hub(says(200, MADE)) as running:
        yield running


@pytest.fixture
async def gateway(hub: ScriptedHub, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway_for(hub.url, tmp_path) as running:
        yield running


async def write(gateway: Gateway, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with gateway.http.post(f"{gateway.url}/api/repo", data=BODY, headers=named) as response:
        if response.status == 403:
            assert (await response.json(content_type=None))["code"] == "CrossSiteRefused"
        return response.status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
    ],
)
async def test_programs_and_own_pages_may_write(gateway: Gateway, headers: dict[str, str]) -> None:
    assert await write(gateway, **headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
    ],
)
async def test_pages_of_other_sites_may_not(gateway: Gateway, hub: ScriptedHub, headers: dict[str, str]) -> None:
    assert await write(gateway, **headers) == 403
    assert hub.asked == []


async def test_an_older_browser_on_an_own_page_may_write(gateway: Gateway) -> None:
    assert await write(gateway, Origin=gateway.url) == 200


async def test_what_a_browser_adds_by_itself_is_no_proof_but_a_bearer_token_is(
    hub: ScriptedHub, tmp_path: Path
) -> None:
    secret = await make_key(tmp_path)
    cached = "Basic " + base64.b64encode(f"x:{secret}".encode()).decode()
    async with gateway_for(hub.url, tmp_path) as gateway:
        assert await write(gateway, Authorization=cached, Sec_Fetch_Site="cross-site") == 403
        assert await write(gateway, Authorization=cached) == 200
        assert await write(gateway, Authorization=f"Bearer {secret}", Sec_Fetch_Site="cross-site") == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "192.0.2.1", "localhost.evil.example"])
async def test_a_name_that_is_not_this_machines_gives_no_rights(gateway: Gateway, hub: ScriptedHub, host: str) -> None:
    async with gateway.http.get(f"{gateway.url}/api/account", headers={"Host": host}) as response:
        assert response.status == 401
        assert "HFPROXY_SERVER__ALLOWED_HOSTS" in (await response.json(content_type=None))["detail"]
    assert hub.asked == []


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:9", "[::1]:8080", "app.localhost", "LOCALHOST."]
)
async def test_every_name_of_this_machine_is_known(gateway: Gateway, host: str) -> None:
    async with gateway.http.get(f"{gateway.url}/api/account", headers={"Host": host}) as response:
        assert response.status == 200


async def test_configured_names_are_known_and_hold_for_anonymous_callers_everywhere(
    hub: ScriptedHub, tmp_path: Path
) -> None:
    settings = {"SERVER__ALLOWED_HOSTS": "hub.acme.example, *.lan", "ACCESS__ANONYMOUS": "writer"}
    async with gateway_for(hub.url, tmp_path, **settings) as gateway:
        found = {}
        for host in ("hub.acme.example:8080", "a.lan", "lan", "evil.example"):
            async with gateway.http.get(f"{gateway.url}/api/account", headers={"Host": host}) as response:
                found[host] = response.status
        assert found == {"hub.acme.example:8080": 200, "a.lan": 200, "lan": 401, "evil.example": 401}


async def test_our_own_answers_are_protected_errors_too(gateway: Gateway) -> None:
    for path in ("/api/account", "/api/repo?x=y", "/-/nothing"):
        async with gateway.http.get(gateway.url + path) as response:
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["X-Frame-Options"] == "DENY"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
            assert "Strict-Transport-Security" not in response.headers
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_strict_transport_is_asked_for_where_the_client_speaks_tls(hub: ScriptedHub, tmp_path: Path) -> None:
    async with gateway_for(hub.url, tmp_path, SERVER__TRUSTED_PROXIES="127.0.0.1") as gateway:
        for host, asked in (("hub.acme.example", True), ("localhost", False)):
            headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": host}
            async with gateway.http.get(f"{gateway.url}/api/account", headers=headers) as response:
                assert ("Strict-Transport-Security" in response.headers) is asked


async def test_without_cors_a_preflight_finds_nothing(gateway: Gateway) -> None:
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    async with gateway.http.options(f"{gateway.url}/api/account", headers=headers) as response:
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    ("setting", "allowed"), [("https://app.example", True), ("*", True), ("https://b.example", False)]
)
async def test_configured_origins_may_ask_and_read(
    hub: ScriptedHub, tmp_path: Path, setting: str, allowed: bool
) -> None:
    secret = await make_key(tmp_path)
    origin = "https://app.example"
    async with gateway_for(hub.url, tmp_path, SERVER__CORS_ORIGINS=setting) as gateway:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        async with gateway.http.options(f"{gateway.url}/api/repo", headers=asked) as response:
            assert response.status == 204
            assert (response.headers.get("Access-Control-Allow-Origin") == origin) is allowed
            assert ("POST" in response.headers.get("Access-Control-Allow-Methods", "")) is allowed
            granted = response.headers.get("Access-Control-Allow-Headers")
            assert granted == ("authorization,content-type" if allowed else None)
            assert "Origin" in response.headers["Vary"]
        for headers, status in (({"Authorization": f"Bearer {secret}"}, 200), ({}, 401)):
            async with gateway.http.get(
                f"{gateway.url}/api/account", headers={"Origin": origin, **headers}
            ) as response:
                assert response.status == status
                assert (response.headers.get("Access-Control-Allow-Origin") == origin) is allowed
                assert "Access-Control-Allow-Credentials" not in response.headers
                if allowed:
                    assert "X-Error-Message" in response.headers["Access-Control-Expose-Headers"]


async def test_a_configured_origin_may_write_without_a_key_but_a_star_is_no_friend(
    hub: ScriptedHub, tmp_path: Path
) -> None:
    headers = {"Origin": "https://app.example", "Sec_Fetch_Site": "cross-site"}
    async with gateway_for(hub.url, tmp_path, SERVER__CORS_ORIGINS="https://app.example") as gateway:
        assert await write(gateway, **headers) == 200
    async with gateway_for(hub.url, tmp_path, SERVER__CORS_ORIGINS="*") as gateway:
        assert await write(gateway, **headers) == 403
