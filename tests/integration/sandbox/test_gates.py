"""Gated repositories: what each caller is told, in the Hub's order, and what stays open."""

import pytest

from .conftest import ALICE, ALICE_FINE, ALICE_READ, BOB, Call

MODEL = "/api/models/alice/gated"
LARGE = "ab" * 32


@pytest.fixture(params=["auto", "manual"])
async def gate(request: pytest.FixtureRequest, call: Call) -> str:
    await call("POST", "/api/repos/create", ALICE, json={"name": "gated"})
    assert (await call("PUT", f"{MODEL}/settings", ALICE, json={"gated": request.param})).status == 200
    gate: str = request.param
    return gate


async def test_each_caller_is_told_their_own_reason(call: Call, gate: str) -> None:
    nobody = await call("GET", f"{MODEL}/auth-check")
    assert (nobody.status, nobody.headers["X-Error-Code"]) == (401, "GatedRepo")
    assert nobody.json["error"] == (
        "Access to model alice/gated is restricted. You must have access to it and be authenticated to access it. "
        "Please log in."
    )
    stranger = await call("GET", f"{MODEL}/auth-check", BOB)
    assert (stranger.status, stranger.headers["X-Error-Code"]) == (403, "GatedRepo")
    assert stranger.json["error"] == (
        "Access to model alice/gated is restricted and you are not in the authorized list. "
        "Visit https://huggingface.co/alice/gated to ask for access."
    )
    for token in (ALICE, ALICE_READ, ALICE_FINE):
        assert (await call("GET", f"{MODEL}/auth-check", token)).body == b"OK"
    reader = await call("GET", f"{MODEL}/auth-check/write", ALICE_READ)
    assert (reader.status, "X-Error-Code" in reader.headers) == (403, False)


async def test_asking_opens_an_automatic_gate_and_waits_at_a_manual_one(call: Call, gate: str) -> None:
    asked = await call("POST", "/alice/gated/ask-access", BOB, data={"reason": "research"})
    assert asked.status == 200
    assert (await call("POST", "/alice/gated/ask-access", BOB)).status == 409
    checked = await call("GET", f"{MODEL}/auth-check", BOB)
    if gate == "auto":
        assert checked.status == 200
        return
    assert (checked.status, checked.headers["X-Error-Code"]) == (403, "GatedRepo")
    assert checked.json["error"] == (
        "Your request to access model alice/gated is awaiting a review from the repo authors."
    )
    [pending] = (await call("GET", f"{MODEL}/user-access-request/pending", ALICE)).json
    assert (pending["user"]["user"], pending["fields"]) == ("bob", {"reason": "research"})
    body = {"requestId": pending["requestId"], "status": "accepted"}
    assert (await call("POST", f"{MODEL}/user-access-request/handle", ALICE, json=body)).status == 200
    assert (await call("GET", f"{MODEL}/auth-check", BOB)).status == 200


async def test_what_a_gate_leaves_open(call: Call, gate: str) -> None:
    for path in ("", "/revision/main", "/tree/main", "/refs", "/commits/main"):
        assert (await call("GET", MODEL + path)).status == 200, path
    hidden = await call("GET", f"{MODEL}/compare/main..nowhere", BOB)
    assert hidden.headers["X-Error-Code"] == "GatedRepo", "the gate comes before the revision"


async def test_a_repository_without_a_gate_has_no_requests(call: Call) -> None:
    await call("POST", "/api/repos/create", ALICE, json={"name": "open"})
    answer = await call("POST", "/api/models/alice/open/user-access-request/grant", ALICE, json={"user": "bob"})
    assert (answer.status, answer.headers["X-Error-Code"]) == (400, "RepoNotGated")
