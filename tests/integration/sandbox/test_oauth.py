"""Login by OAuth: as `hf auth login` does it, as apps do it in browsers, and what their tokens are good for."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from hfproxy.sandbox.server import SandboxConfig, running_sandbox
from tests.support.gateway import gateway_for

from .conftest import ALICE, Answer, Call

DEVICE = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "cli"}
VERIFIER = "a verifier that is long enough to be one, says RFC 7636"


async def logged_in_on_a_device(call: Call, account: str = "alice", **asked: str) -> Any:
    begun = (await call("POST", "/oauth/device", data={"client_id": "cli", **asked})).json
    await call("POST", "/-/oauth/device", data={"user_code": begun["user_code"], "account": account})
    return (await call("POST", "/oauth/token", data={**DEVICE, "device_code": begun["device_code"]})).json


async def test_a_device_gets_a_token_once_its_user_agreed(call: Call) -> None:
    begun = (await call("POST", "/oauth/device", data={"client_id": "cli"})).json
    poll = {**DEVICE, "device_code": begun["device_code"]}
    waiting = await call("POST", "/oauth/token", data=poll)
    assert (waiting.status, waiting.json["error"]) == (400, "authorization_pending")
    assert (await call("POST", "/oauth/token", data=poll)).json["error"] == "slow_down"
    page = await call("GET", begun["verification_uri_complete"])
    assert begun["user_code"].encode() in page.body
    assert b"Yes, as alice" in page.body
    typed = begun["user_code"].lower().replace("-", " ")
    assert (await call("POST", "/-/oauth/device", data={"user_code": typed, "account": "alice"})).status == 200
    given = (await call("POST", "/oauth/token", data=poll)).json
    assert given["access_token"].startswith("hf_oauth_")
    assert given["token_type"] == "bearer"
    assert 28_000 < given["expires_in"] <= 28_800
    told = (await call("GET", "/api/whoami-v2", given["access_token"])).json
    assert (told["name"], told["auth"]["type"]) == ("alice", "oauth")
    assert "accessToken" not in told["auth"]
    created = await call("POST", "/api/repos/create", given["access_token"], json={"name": "by-oauth"})
    assert created.status == 200
    assert (await call("POST", "/oauth/token", data=poll)).json["error"] == "invalid_grant"


async def test_a_user_may_say_no_and_codes_are_not_guessed(call: Call) -> None:
    begun = (await call("POST", "/oauth/device", data={"client_id": "cli"})).json
    assert (await call("POST", "/-/oauth/device", data={"user_code": "BBBB-BBBB", "account": "alice"})).status == 404
    await call("POST", "/-/oauth/device", data={"user_code": begun["user_code"], "account": ""})
    denied = await call("POST", "/oauth/token", data={**DEVICE, "device_code": begun["device_code"]})
    assert (denied.status, denied.json["error"]) == (400, "access_denied")
    for wrong in ({"grant_type": "password"}, {**DEVICE, "device_code": "x"}, {}):
        assert (await call("POST", "/oauth/token", data=wrong)).status == 400


async def test_a_token_is_renewed_once_and_the_old_secret_is_worth_nothing(call: Call) -> None:
    first = await logged_in_on_a_device(call)
    renew = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": first["refresh_token"]}
    assert (await call("POST", "/oauth/token", data={**renew, "client_id": "another"})).json["error"] == "invalid_grant"
    second = (await call("POST", "/oauth/token", data=renew)).json
    assert second["access_token"] != first["access_token"]
    assert (await call("GET", "/api/whoami-v2", second["access_token"])).status == 200
    assert (await call("POST", "/oauth/token", data=renew)).json["error"] == "invalid_grant"


async def test_scopes_say_what_a_token_is_good_for(call: Call) -> None:
    await call("POST", "/api/repos/create", ALICE, json={"name": "secret", "private": True})

    async def seen(scope: str) -> tuple[int, int]:
        token = (await logged_in_on_a_device(call, scope=scope))["access_token"]
        reads: Answer = await call("GET", "/api/models/alice/secret", token)
        writes: Answer = await call("PUT", "/api/models/alice/secret/settings", token, json={"visibility": "private"})
        return reads.status, writes.status

    assert await seen("openid profile") == (404, 404)
    assert await seen("read-repos") == (200, 403)
    assert await seen("manage-repos") == (200, 200)
    assert (await call("POST", "/oauth/device", data={"client_id": "cli", "scope": "all"})).json[
        "error"
    ] == "invalid_scope"


async def test_an_app_logs_its_user_in_by_browser_and_can_check_who_that_is(call: Call) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    about = (await call("GET", "/.well-known/openid-configuration")).json
    asked = {
        "client_id": "app",
        "redirect_uri": "http://app.test/back?a=1",
        "response_type": "code",
        "state": "s",
        "scope": "openid profile email",
        "nonce": "n",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    page = await call("GET", about["authorization_endpoint"], params=asked)
    assert page.status == 200
    sent_back = await call("POST", "/-/oauth/authorize", data={**asked, "account": "alice"})
    assert sent_back.status == 303
    told = parse_qs(urlsplit(sent_back.headers["Location"]).query)
    assert (told["a"], told["state"]) == (["1"], ["s"])
    redeem = {"grant_type": "authorization_code", "code": told["code"][0], "redirect_uri": asked["redirect_uri"]}
    basic = {"Authorization": "Basic " + base64.b64encode(b"app:secret").decode()}
    given = await call("POST", about["token_endpoint"], data={**redeem, "code_verifier": VERIFIER}, headers=basic)
    assert given.status == 200
    head, claims, signature = given.json["id_token"].split(".")
    key = (await call("GET", about["jwks_uri"])).json["keys"][0]
    public = rsa.RSAPublicNumbers(number(key["e"]), number(key["n"])).public_key()
    public.verify(decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    stated = json.loads(decoded(claims))
    assert (stated["iss"], stated["aud"], stated["nonce"]) == (about["issuer"], "app", "n")
    user = (await call("GET", about["userinfo_endpoint"], given.json["access_token"])).json
    assert user["sub"] == stated["sub"]
    assert [org["preferred_username"] for org in user["orgs"]] == ["acme"]
    assert (user["preferred_username"], user["email"]) == ("alice", "alice@example.org")
    assert (await call("POST", about["token_endpoint"], data=redeem, headers=basic)).json["error"] == "invalid_grant"
    assert (await call("GET", about["userinfo_endpoint"], ALICE)).status == 403


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.test/\r\nSet-Cookie: a=b",
        "http://[app",
        "/here",
        "javascript:alert(1)",
        "http://app.test/\u00e9",
        "",
    ],
)
async def test_nobody_is_sent_to_what_is_no_address(call: Call, uri: str) -> None:
    asked = {"client_id": "app", "response_type": "code", "redirect_uri": uri, "account": "alice"}
    assert (await call("POST", "/-/oauth/authorize", json=asked)).status == 400


@pytest.mark.parametrize(
    "wrong", [{"code_verifier": "another"}, {"redirect_uri": "http://other.test/"}, {"client_id": "x"}]
)
async def test_a_code_is_only_for_who_asked_for_it(call: Call, wrong: dict[str, str]) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": "app",
        "redirect_uri": "http://app.test",
        "response_type": "code",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    # A browser that is logged in brings its session along.
    sent_back = await call("GET", "/oauth/authorize", params=asked, headers={"Cookie": f"token={ALICE}"})
    assert sent_back.status == 303
    assert sent_back.headers["Location"].startswith("http://app.test/?code=")
    code = parse_qs(urlsplit(sent_back.headers["Location"]).query)["code"][0]
    redeem = {"grant_type": "authorization_code", "client_id": "app", "code": code, "code_verifier": VERIFIER}
    redeem |= {"redirect_uri": "http://app.test", **wrong}
    assert (await call("POST", "/oauth/token", data=redeem)).json["error"] == "invalid_grant"


async def test_a_login_through_the_gateway_outlives_the_process(tmp_path: Path) -> None:
    config = SandboxConfig(data=tmp_path / "hub")
    async with (
        running_sandbox(config) as sandbox,
        gateway_for(sandbox.url, tmp_path, ACCESS__ANONYMOUS="none") as gateway,
    ):
        async with gateway.http.post(f"{gateway.url}/oauth/device", data={"client_id": "cli"}) as answer:
            begun = await answer.json()
        assert begun["verification_uri"].startswith(sandbox.url)
        said = {"user_code": begun["user_code"], "account": "bob"}
        async with gateway.http.post(f"{sandbox.url}/-/oauth/device", data=said) as answer:
            assert answer.status == 200
        poll = {**DEVICE, "device_code": begun["device_code"]}
        async with gateway.http.post(f"{gateway.url}/oauth/token", data=poll) as answer:
            token = (await answer.json())["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        async with gateway.http.get(f"{gateway.url}/api/whoami-v2", headers=bearer) as answer:
            assert (await answer.json())["name"] == "bob"
    async with running_sandbox(config) as sandbox:
        found = sandbox.hub.accounts.by_secret(token)
        assert found is not None
        assert found[0].name == "bob"


class TestWithTokensThatEnd:
    @pytest.fixture
    def config(self) -> SandboxConfig:
        return SandboxConfig(oauth_tokens_last_s=-1)

    async def test_a_token_that_ended_is_refused_and_can_be_renewed(self, call: Call) -> None:
        over = await logged_in_on_a_device(call)
        assert (await call("GET", "/api/whoami-v2", over["access_token"])).status == 401
        renew = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": over["refresh_token"]}
        assert (await call("POST", "/oauth/token", data=renew)).status == 200


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text: str) -> int:
    return int.from_bytes(decoded(text))
