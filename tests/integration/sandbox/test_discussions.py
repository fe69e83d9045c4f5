"""Discussions and pull requests, at the level of HTTP."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox

from .conftest import ALICE, ALICE_READ, BOB, Answer, Call

DEMO = "/api/models/alice/demo"
TALK = f"{DEMO}/discussions"


@pytest.fixture(autouse=True)
async def repo(call: Call) -> None:
    await call("POST", "/api/repos/create", ALICE, json={"name": "demo"})


async def opened(call: Call, title: str = "Why?", token: str = BOB, **fields: Any) -> Answer:
    return await call("POST", TALK, token, json={"title": title, "description": "because", **fields})


async def commit(call: Call, token: str, to: str, summary: str = "change", **files: str | None) -> Answer:
    lines: list[dict[str, Any]] = [{"key": "header", "value": {"summary": summary}}]
    for path, text in files.items():
        if text is None:
            lines.append({"key": "deletedFile", "value": {"path": path.replace("__", "/")}})
        else:
            content = base64.b64encode(text.encode()).decode()
            lines.append(
                {"key": "file", "value": {"path": path.replace("__", "/"), "content": content, "encoding": "base64"}}
            )
    return await call(
        "POST", f"{DEMO}/commit/{to}", token, data=b"\n".join(json.dumps(each).encode() for each in lines)
    )


async def pull_request(call: Call, **files: str | None) -> int:
    """Bob's pull request, open; its number."""
    proposed = await commit(call, BOB, "main?create_pr=1", **files)
    return int(proposed.json["pullRequestUrl"].rpartition("/")[2])


async def text_of(call: Call, path: str, revision: str = "main") -> str | None:
    answer = await call("GET", f"/alice/demo/raw/{revision}/{path}", ALICE)
    return answer.body.decode() if answer.status == 200 else None


async def test_lists_are_filtered_and_paged_newest_first(call: Call) -> None:
    for number in range(3):
        await opened(call, f"number {number}")
    await opened(call, "mine", ALICE, pullRequest=True)
    await call("POST", f"{TALK}/1/status", BOB, json={"status": "closed"})
    wanted = {"": [4, 3, 2, 1], "type=pull_request": [4], "type=discussion": [3, 2, 1], "author=bob": [3, 2, 1]}
    wanted |= {"status=open": [4, 3, 2], "status=closed": [1], "status=all&type=all": [4, 3, 2, 1]}
    for query, numbers in wanted.items():
        listed = (await call("GET", f"{TALK}?{query}")).json
        assert [each["num"] for each in listed["discussions"]] == numbers
        assert (listed["count"], listed["start"]) == (len(numbers), 0)


async def test_a_list_has_pages(tmp_path: Path, http: Any) -> None:
    async with running_sandbox(SandboxConfig(page_size=2)) as sandbox:
        auth = {"Authorization": f"Bearer {ALICE}"}
        await http.post(f"{sandbox.url}/api/repos/create", json={"name": "demo"}, headers=auth)
        for number in range(3):
            await http.post(f"{sandbox.url}{TALK}", json={"title": f"{number}"}, headers=auth)
        async with http.get(f"{sandbox.url}{TALK}?p=1") as answer:
            told = await answer.json()
    assert ([each["num"] for each in told["discussions"]], told["count"], told["start"]) == ([1], 3, 2)


@pytest.mark.parametrize(
    ("method", "path", "fields", "statuses"),
    [
        # What nobody, a reader's read token, a reader, and the owner are told.
        ("POST", "", {"title": "t"}, (401, 403, 200, 200)),
        ("POST", "/1/comment", {"comment": "c"}, (401, 403, 201, 201)),
        ("POST", "/1/title", {"title": "t"}, (401, 403, 403, 200)),
        ("POST", "/1/status", {"status": "closed"}, (401, 403, 403, 200)),
        ("POST", "/1/pin", {"pinned": True}, (401, 403, 403, 200)),
        ("POST", "/2/merge", {}, (401, 403, 403, 200)),
        ("DELETE", "/1", {}, (401, 403, 403, 200)),
        ("GET", "/1", None, (200, 200, 200, 200)),
    ],
)
async def test_who_may_do_what(
    call: Call, method: str, path: str, fields: dict[str, Any] | None, statuses: tuple[int, ...]
) -> None:
    await opened(call, token=ALICE)
    proposed = await commit(call, ALICE, "main?create_pr=1", a="a")
    assert proposed.status == 200
    found = [(await call(method, TALK + path, token, json=fields)).status for token in (None, ALICE_READ, BOB, ALICE)]
    assert tuple(found) == statuses


async def test_the_discussions_of_a_private_repository_are_nobodys_business(call: Call) -> None:
    await opened(call, token=ALICE)
    await call("PUT", f"{DEMO}/settings", ALICE, json={"private": True})
    for method, path in (("GET", ""), ("GET", "/1"), ("POST", ""), ("POST", "/1/comment")):
        answer = await call(method, TALK + path, BOB, json={"title": "t", "comment": "c"})
        assert (answer.status, answer.headers["X-Error-Code"]) == (404, "RepoNotFound")


async def test_nothing_is_opened_where_discussions_are_off(call: Call) -> None:
    await call("PUT", f"{DEMO}/settings", ALICE, json={"discussionsDisabled": True})
    assert (await opened(call)).status == 403


async def test_only_who_said_it_may_edit_and_what_is_hidden_stays_hidden(call: Call) -> None:
    await opened(call)
    said = (await call("POST", f"{TALK}/1/comment", BOB, json={"comment": "secret"})).json["newMessage"]["id"]
    assert (await call("POST", f"{TALK}/1/comment/{said}/edit", ALICE, json={"content": "x"})).status == 403
    hidden = await call("POST", f"{TALK}/1/comment/{said}/hide", ALICE, json={})
    assert hidden.json["updatedComment"]["data"]["hidden"] is True
    assert (await call("POST", f"{TALK}/1/comment/{said}/edit", BOB, json={"content": "x"})).status == 400
    assert b"secret" not in (await call("GET", f"{TALK}/1")).body


async def test_the_diff_of_a_gated_repository_stays_behind_the_gate(call: Call) -> None:
    number = await pull_request(call, **{"weights.txt": "precious\n"})
    await call("PUT", f"{DEMO}/settings", ALICE, json={"gated": "manual"})
    assert "diff" not in (await call("GET", f"{TALK}/{number}?diff=1", BOB)).json
    assert "+precious" in (await call("GET", f"{TALK}/{number}?diff=1", ALICE)).json["diff"]


async def test_a_merge_keeps_what_both_sides_did(call: Call) -> None:
    await commit(call, ALICE, "main", both="1", theirs_to_delete="x", folder__a="a")
    number = await pull_request(call, both="2", theirs_to_delete=None, folder__b="b")
    await commit(call, ALICE, "main", folder__c="c", folder__a=None)
    merged = await call("POST", f"{TALK}/{number}/merge", ALICE, json={})
    assert merged.json["newStatus"]["data"] == {"status": "merged"}
    tree = (await call("GET", f"{DEMO}/tree/main?recursive=1")).json
    assert {each["path"] for each in tree if each["type"] == "file"} == {
        ".gitattributes",
        "both",
        "folder/b",
        "folder/c",
    }
    assert await text_of(call, "both") == "2"
    [top, *_] = (await call("GET", f"{DEMO}/commits/main")).json
    told = (await call("GET", f"{TALK}/{number}?diff=1")).json
    assert (top["title"], top["id"]) == (f"change (#{number})", told["changes"]["mergeCommitId"])
    assert "folder/b" in told["diff"]
    assert (await call("POST", f"{TALK}/{number}/merge", ALICE, json={})).status == 400


@pytest.mark.parametrize(
    ("theirs", "ours", "conflicts"),
    [
        ({"a": "theirs"}, {"a": "ours"}, ["a"]),
        ({"a": "same"}, {"a": "same"}, False),
        ({"a": None}, {"a": "ours"}, ["a"]),
        ({"a": "theirs"}, {"a": None}, ["a"]),
        ({"new": "1"}, {"new": "2"}, ["new"]),
        ({"new": "1"}, {"new__file": "2"}, ["new"]),
        ({"new__file": "1"}, {"new": "2"}, ["new/file"]),
        ({"a": None, "a__file": "1"}, {"b": "2"}, False),
    ],
)
async def test_conflicts_are_told_and_never_merged(
    call: Call, theirs: dict[str, str | None], ours: dict[str, str | None], conflicts: list[str] | bool
) -> None:
    await commit(call, ALICE, "main", a="base")
    number = await pull_request(call, **theirs)
    await commit(call, ALICE, "main", **ours)
    before = (await call("GET", DEMO)).json["sha"]
    assert (await call("GET", f"{TALK}/{number}")).json["filesWithConflicts"] == conflicts
    merged = await call("POST", f"{TALK}/{number}/merge", ALICE, json={})
    assert merged.status == (409 if conflicts else 200)
    if conflicts:
        assert merged.json["filesWithConflicts"] == conflicts
        assert (await call("GET", DEMO)).json["sha"] == before


async def test_a_draft_is_not_merged_and_its_author_commits_to_it(call: Call) -> None:
    await opened(call, pullRequest=True)
    assert (await commit(call, BOB, "refs%2Fpr%2F1", summary="mine", b="b")).status == 200
    assert (await call("POST", f"{TALK}/1/merge", ALICE, json={})).status == 400
    told = (await call("GET", f"{TALK}/1")).json
    assert (told["status"], told["changes"]) == ("draft", {"base": "refs/heads/main"})
    assert [event["type"] for event in told["events"]] == ["comment", "commit"]
    await opened(call, token=ALICE, pullRequest=True)
    assert (await commit(call, BOB, "refs%2Fpr%2F2", b="b")).status == 403
    refs = (await call("GET", f"{DEMO}/refs?include_prs=1")).json["pullRequests"]
    assert [ref["ref"] for ref in refs] == ["refs/pr/1", "refs/pr/2"]


async def test_a_pull_request_goes_to_the_branch_it_was_made_for(call: Call) -> None:
    await call("POST", f"{DEMO}/branch/next", ALICE, json={})
    proposed = await commit(call, BOB, "next?create_pr=1", b="b")
    number = int(proposed.json["pullRequestUrl"].rpartition("/")[2])
    assert (await call("GET", f"{TALK}/{number}")).json["changes"] == {"base": "refs/heads/next"}
    await call("POST", f"{TALK}/{number}/merge", ALICE, json={})
    assert (await text_of(call, "b", "next"), await text_of(call, "b")) == ("b", None)


async def test_discussions_outlive_the_sandbox(tmp_path: Path, http: Any) -> None:
    auth = {"Authorization": f"Bearer {ALICE}"}
    config = SandboxConfig(data=tmp_path)

    async def ask(sandbox: Sandbox, method: str, path: str, **fields: Any) -> Any:
        async with http.request(method, sandbox.url + path, json=fields or None, headers=auth) as answer:
            return await answer.json()

    async with running_sandbox(config) as sandbox:
        await ask(sandbox, "POST", "/api/repos/create", name="demo")
        await ask(sandbox, "POST", TALK, title="kept", pullRequest=True)
        await ask(sandbox, "POST", f"{TALK}/1/title", title="renamed")
        before = await ask(sandbox, "GET", f"{TALK}/1?diff=1")
    async with running_sandbox(config) as sandbox:
        assert await ask(sandbox, "GET", f"{TALK}/1?diff=1") == before
        assert (await ask(sandbox, "POST", TALK, title="next"))["num"] == 2
