"""Creating, changing and deleting repositories, and who may."""

from typing import Any

import pytest

from hfproxy.sandbox.server import Sandbox

from .conftest import ALICE, ALICE_FINE, ALICE_READ, BOB, Call

DENIED = "You don't have the rights to create a model under the namespace"


@pytest.mark.parametrize(
    ("body", "repo_id", "url"),
    [
        ({"name": "demo"}, "alice/demo", "/alice/demo"),
        ({"name": "demo", "organization": None, "type": "model"}, "alice/demo", "/alice/demo"),
        ({"name": "demo", "organization": "acme", "type": "dataset"}, "acme/demo", "/datasets/acme/demo"),
        ({"name": "demo", "type": "space", "sdk": "static"}, "alice/demo", "/spaces/alice/demo"),
        ({"name": "demo", "type": "kernel"}, "alice/demo", "/kernels/alice/demo"),
    ],
)
async def test_a_created_repository_is_told_with_its_url(
    sandbox: Sandbox, call: Call, body: dict[str, Any], repo_id: str, url: str
) -> None:
    answer = await call("POST", "/api/repos/create", ALICE, json=body)
    assert answer.status == 200
    assert answer.json["url"] == sandbox.url + url
    assert answer.json["name"] == repo_id
    assert len(answer.json["id"]) == 24
    info = await call("GET", f"/api/{body.get('type', 'model')}s/{repo_id.upper()}", ALICE)
    assert (info.json["id"], info.json["_id"]) == (repo_id, answer.json["id"])


async def test_a_second_creation_is_refused_with_the_url_that_clients_read(sandbox: Sandbox, call: Call) -> None:
    await call("POST", "/api/repos/create", ALICE, json={"name": "demo", "type": "dataset"})
    again = await call("POST", "/api/repos/create", ALICE, json={"name": "DEMO", "type": "dataset"})
    assert again.status == 409
    assert again.json["error"] == "You already created this dataset repo"
    assert again.json["url"].casefold() == f"{sandbox.url}/datasets/alice/demo"


@pytest.mark.parametrize(
    ("token", "body", "status", "message"),
    [
        (None, {"name": "m"}, 401, "Invalid username or password."),
        (BOB, {"name": "m", "organization": "alice"}, 403, DENIED),
        (BOB, {"name": "m", "organization": "acme"}, 403, DENIED),
        (ALICE, {"name": "m", "organization": "nobody"}, 403, DENIED),
        (ALICE_READ, {"name": "m"}, 403, DENIED),
        (ALICE_FINE, {"name": "m", "organization": "acme"}, 403, DENIED),
        (ALICE, {"name": "-m"}, 400, "Invalid repo name"),
        (ALICE, {"name": "m.git"}, 400, "Invalid repo name"),
        (ALICE, {"name": "m", "type": "spaces"}, 400, '"type" must be one of'),
        (ALICE, {"name": "m", "type": "space"}, 400, '"sdk" must be one of'),
        (ALICE, {"name": "m", "visibility": "protected"}, 400, "Invalid visibility"),
        (ALICE, {"name": "m", "visibility": "private", "private": True}, 400, "cannot be used together"),
        (ALICE, {}, 400, '"name" is required'),
    ],
)
async def test_a_creation_that_the_hub_refuses(
    call: Call, token: str | None, body: dict[str, Any], status: int, message: str
) -> None:
    answer = await call("POST", "/api/repos/create", token, json=body)
    assert answer.status == status
    assert message in answer.json["error"]
    assert message in answer.headers["X-Error-Message"]


@pytest.mark.parametrize("body", [{"private": True}, {"visibility": "private"}])
async def test_a_private_repository_exists_only_for_those_who_may_see_it(call: Call, body: dict[str, Any]) -> None:
    await call("POST", "/api/repos/create", ALICE, json={"name": "demo"})
    changed = await call("PUT", "/api/models/alice/demo/settings", ALICE, json=body)
    assert (changed.status, changed.json) == (200, {"visibility": "private", "private": True})
    assert (await call("GET", "/api/models/alice/demo", ALICE_READ)).json["private"] is True
    assert (await call("GET", "/api/models/alice/demo", ALICE_FINE)).status == 200
    stranger = await call("GET", "/api/models/alice/demo", BOB)
    assert (stranger.status, stranger.headers["X-Error-Code"]) == (404, "RepoNotFound")
    assert stranger.json == {"error": "Repository not found"}
    nobody = await call("GET", "/api/models/alice/demo")
    assert (nobody.status, nobody.json) == (401, {"error": "Invalid username or password."})
    assert "X-Error-Code" not in nobody.headers


@pytest.mark.parametrize(
    ("token", "status", "code"), [(None, 401, None), (BOB, 403, None), (ALICE_READ, 403, None), (ALICE, 200, None)]
)
async def test_only_writers_delete(call: Call, token: str | None, status: int, code: str | None) -> None:
    await call("POST", "/api/repos/create", ALICE, json={"name": "demo"})
    answer = await call("DELETE", "/api/repos/delete", token, json={"name": "demo", "organization": "alice"})
    assert answer.status == status
    assert answer.headers.get("X-Error-Code") == code
    assert (await call("GET", "/api/models/alice/demo")).status == (401 if status == 200 else 200)


async def test_deleting_says_ok_and_deleting_again_that_nothing_is_there(call: Call) -> None:
    await call("POST", "/api/repos/create", ALICE, json={"name": "demo"})
    gone = await call("DELETE", "/api/repos/delete", ALICE, json={"name": "demo"})
    assert (gone.status, gone.body, gone.headers["Content-Type"]) == (200, b"OK", "text/plain; charset=utf-8")
    again = await call("DELETE", "/api/repos/delete", ALICE, json={"name": "demo"})
    assert (again.status, again.headers["X-Error-Code"]) == (404, "RepoNotFound")


async def test_a_renamed_repository_redirects_from_its_old_name(call: Call) -> None:
    await call("POST", "/api/repos/create", ALICE, json={"name": "old"})
    body = {"fromRepo": "alice/old", "toRepo": "acme/new", "type": "model"}
    assert (await call("POST", "/api/repos/move", ALICE, json=body)).status == 200
    answer = await call("GET", "/api/models/Alice/Old/revision/refs%2Fheads%2Fmain?blobs=true")
    assert answer.status == 307
    assert answer.headers["Location"] == "/api/models/acme/new/revision/refs%2Fheads%2Fmain?blobs=true"
    assert (await call("GET", answer.headers["Location"])).json["id"] == "acme/new"


async def test_a_repository_is_not_moved_onto_another(call: Call) -> None:
    for name in ("old", "new"):
        await call("POST", "/api/repos/create", ALICE, json={"name": name})
    answer = await call(
        "POST", "/api/repos/move", ALICE, json={"fromRepo": "alice/old", "toRepo": "alice/new", "type": "model"}
    )
    assert (answer.status, answer.json["error"]) == (409, "A model repository called alice/new already exists")


async def test_every_answer_has_what_all_of_the_hubs_have(call: Call) -> None:
    trace = {"X-Amzn-Trace-Id": "0e8b1a5e-6d5c-4f5b-9d0a-3a1f4f2b7c11", "Origin": "https://example.org"}
    answer = await call("GET", "/api/models/alice/nothing", ALICE, headers=trace)
    assert answer.headers["X-Powered-By"] == "huggingface-moon"
    assert answer.headers["X-Request-Id"].startswith("Root=1-")
    assert answer.headers["X-Request-Id"].endswith(";0e8b1a5e-6d5c-4f5b-9d0a-3a1f4f2b7c11")
    assert answer.headers["RateLimit"] == '"api";r=999;t=300'
    assert answer.headers["RateLimit-Policy"] == '"fixed window";"api";q=1000;w=300'
    assert answer.headers["Access-Control-Allow-Origin"] == "https://example.org"
    assert "X-Repo-Commit" in answer.headers["Access-Control-Expose-Headers"]


async def test_json_that_the_client_has_is_not_sent_again(call: Call) -> None:
    first = await call("GET", "/api/whoami-v2", ALICE)
    assert first.headers["ETag"].startswith('W/"')
    again = await call("GET", "/api/whoami-v2", ALICE, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


async def test_the_record_has_what_was_asked_byte_for_byte(sandbox: Sandbox, call: Call) -> None:
    await call("POST", "/api/repos/create", ALICE, data=b'{"name" : "demo"}')
    await call("GET", "/api/models/alice/demo/revision/refs%2Fpr%2F1?expand=sha&expand[]=tags", ALICE)
    created, read = sandbox.asked
    assert (created.method, created.raw_path, bytes(created.body)) == (
        "POST",
        "/api/repos/create",
        b'{"name" : "demo"}',
    )
    assert (read.raw_path, read.query) == ("/api/models/alice/demo/revision/refs%2Fpr%2F1", "expand=sha&expand[]=tags")
    assert read.headers["authorization"] == f"Bearer {ALICE}"
    assert read.status == 404
