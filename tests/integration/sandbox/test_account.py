"""whoami for every kind of token, and what is said to the others."""

import json
from pathlib import Path

import pytest

from hfproxy.sandbox.refusals import NOT_LOGGED_IN
from hfproxy.sandbox.server import SandboxConfig, running_sandbox
from tests.support.gateway import gateway_for

from .conftest import ALICE, ALICE_FINE, ALICE_READ, BOB, Call


async def test_whoami_tells_the_account_its_organisations_and_the_token(call: Call) -> None:
    answer = await call("GET", "/api/whoami-v2", ALICE)
    assert answer.status == 200
    assert (answer.json["type"], answer.json["name"], answer.json["email"]) == ("user", "alice", "alice@example.org")
    assert [(org["name"], org["roleInOrg"]) for org in answer.json["orgs"]] == [("acme", "admin")]
    assert answer.json["auth"]["accessToken"]["role"] == "write"


@pytest.mark.parametrize(("token", "role"), [(ALICE_READ, "read"), (ALICE_FINE, "fineGrained"), (BOB, "write")])
async def test_whoami_tells_the_role_of_a_token(call: Call, token: str, role: str) -> None:
    answer = await call("GET", "/api/whoami-v2", token)
    assert answer.json["auth"]["accessToken"]["role"] == role


async def test_a_fine_grained_token_tells_what_it_may_do_where(call: Call) -> None:
    answer = await call("GET", "/api/whoami-v2", ALICE_FINE)
    scoped = answer.json["auth"]["accessToken"]["fineGrained"]["scoped"]
    assert [(scope["entity"]["name"], scope["permissions"]) for scope in scoped] == [
        ("alice", ["repo.content.read", "repo.write"]),
        ("acme", ["repo.content.read"]),
    ]


@pytest.mark.parametrize("token", [None, "hf_nobody", "hf_sandbox_alice_expired"])
async def test_nobody_and_a_bad_token_are_told_the_same(call: Call, token: str | None) -> None:
    answer = await call("GET", "/api/whoami-v2", token)
    assert answer.status == 401
    assert answer.json == {"error": NOT_LOGGED_IN}
    assert answer.headers["X-Error-Message"] == NOT_LOGGED_IN
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Authentication required", charset="UTF-8"'
    assert "X-Error-Code" not in answer.headers


async def test_who_holds_a_token_may_end_it_and_learns_nothing_of_others(call: Call) -> None:
    for body in (b'{"credentials": ["%b", "hf_nobody", 1]}' % BOB.encode(), b'{"credentials": "x"}', b"[]", b"{", b""):
        assert (await call("POST", "/api/credentials/revoke", data=body)).status == 202
    assert (await call("GET", "/api/whoami-v2", BOB)).status == 401
    assert (await call("GET", "/api/whoami-v2", ALICE)).status == 200


async def test_a_token_of_an_organisation_tells_the_organisation_also_through_the_gateway(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.json"
    robot = {"secret": "hf_of_the_lab", "name": "robot"}
    accounts.write_text(json.dumps({"accounts": [{"name": "lab", "kind": "org", "tokens": [robot]}]}))
    async with (
        running_sandbox(SandboxConfig(accounts=accounts)) as sandbox,
        gateway_for(sandbox.url, tmp_path / "data", UPSTREAM__TOKEN="hf_of_the_lab") as gateway,
    ):
        for url in (f"{sandbox.url}/api/whoami-v2", f"{gateway.url}/api/account"):
            async with gateway.http.get(url, headers={"Authorization": "Bearer hf_of_the_lab"}) as answer:
                told = await answer.json()
            assert (told["type"], told["name"], told["email"]) == ("org", "lab", None)
            assert not {"orgs", "auth"} & set(told)
        made = await gateway.http.post(f"{gateway.url}/api/repo", json={"type": "model", "name": "robots-own"})
        assert (made.status, (await made.json())["id"]) == (200, "lab/robots-own")
