"""Commits and what can be read of them, at the level of HTTP."""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from hfproxy.upstream.refs import RepoType

from .conftest import ALICE, BOB, Answer, Call

DEMO = "/api/models/alice/demo"
Commit = Callable[..., Awaitable[Answer]]


def lines(*operations: tuple[str, dict[str, Any]], summary: str = "change", **header: str) -> bytes:
    every = [("header", {"summary": summary, **header}), *operations]
    return b"\n".join(json.dumps({"key": key, "value": value}).encode() for key, value in every)


def file(path: str, content: bytes = b"x") -> tuple[str, dict[str, Any]]:
    return "file", {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}


@pytest.fixture
async def commit(call: Call) -> Commit:
    await call("POST", "/api/repos/create", ALICE, json={"name": "demo"})

    async def send(
        *operations: tuple[str, dict[str, Any]], token: str = ALICE, to: str = "main", **header: str
    ) -> Answer:
        return await call("POST", f"{DEMO}/commit/{to}", token, data=lines(*operations, **header))

    return send


async def paths(call: Call, revision: str = "main") -> list[str]:
    tree = await call("GET", f"{DEMO}/tree/{revision}?recursive=true")
    return sorted(entry["path"] for entry in tree.json if entry["type"] == "file")


async def test_a_commit_is_told_with_the_addresses_that_clients_parse(
    sandbox: Sandbox, call: Call, commit: Commit
) -> None:
    made = (await commit(file("a.txt"))).json
    assert made["success"] is True
    assert made["commitUrl"] == f"{sandbox.url}/alice/demo/commit/{made['commitOid']}"
    proposed = await call("POST", f"{DEMO}/commit/main?create_pr=1", BOB, data=lines(file("b.txt")))
    assert proposed.json["pullRequestUrl"] == f"{sandbox.url}/alice/demo/discussions/1"
    assert await paths(call) == [".gitattributes", "a.txt"]
    assert await paths(call, "refs%2Fpr%2F1") == [".gitattributes", "a.txt", "b.txt"]


async def test_a_commit_may_be_one_json_object_as_old_clients_send_it(call: Call, commit: Commit) -> None:
    """As `huggingface_hub` 0.8.1 does (`_commit_api.py`, `prepare_commit_payload`); 0.10 began to send lines."""
    await commit(file("old.txt"))
    made = {
        "summary": "change",
        "description": "",
        "files": [file("a.txt", b"hello")[1]],
        "lfsFiles": [],
        "deletedFiles": [{"path": "old.txt"}],
    }
    assert (await call("POST", f"{DEMO}/commit/main", ALICE, json=made)).json["success"] is True
    assert await paths(call) == [".gitattributes", "a.txt"]
    for wrong in ({"files": {}}, {"files": ["a"]}, {"lfsFiles": [{"path": "m.bin", "oid": "ab" * 32}]}, {"files": []}):
        assert (await call("POST", f"{DEMO}/commit/main", ALICE, json={"summary": "x", **wrong})).status == 400
    assert await paths(call) == [".gitattributes", "a.txt"]


async def test_head_means_the_main_branch(call: Call, commit: Commit) -> None:
    made = (await commit(file("a.txt"))).json
    assert (await call("GET", f"{DEMO}/revision/HEAD")).json["sha"] == made["commitOid"]
    assert (await call("GET", "/alice/demo/resolve/HEAD/a.txt")).headers["X-Repo-Commit"] == made["commitOid"]


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (("lfsFile", {"path": "m.bin", "algo": "sha256", "oid": "ab" * 32, "size": 5}), 400),
        (("deletedFile", {"path": "nothing"}), 404),
        (("deletedFolder", {"path": "nothing/"}), 404),
        (("copyFile", {"path": "b", "srcPath": "nothing"}), 404),
        (("file", {"path": "a", "content": "not base64!", "encoding": "base64"}), 400),
        (("file", {"path": "a"}), 400),
        (("file", {"path": "../a", "content": ""}), 422),
        (("file", {"path": "a/.git/config", "content": ""}), 422),
        (("file", {"path": "..\\a", "content": ""}), 422),
        (("file", {"path": "/a", "content": ""}), 422),
        (("read", {"path": "a"}), 400),
    ],
)
async def test_a_commit_with_one_bad_line_changes_nothing(
    call: Call, commit: Commit, operation: tuple[str, dict[str, Any]], status: int
) -> None:
    before = (await call("GET", DEMO)).json["sha"]
    answer = await commit(file("good.txt"), operation)
    assert answer.status == status, answer.json
    assert (await call("GET", DEMO)).json["sha"] == before


async def test_a_path_that_only_windows_would_leave_a_folder_by_is_taken(call: Call, commit: Commit) -> None:
    assert (await commit(file("folder/..\\..\\file"))).status == 200
    assert "folder/..\\..\\file" in await paths(call)


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"key":"header","value":{"summary":"empty"}}'])
async def test_a_commit_of_nothing_is_refused(call: Call, commit: Commit, body: bytes) -> None:
    assert (await call("POST", f"{DEMO}/commit/main", ALICE, data=body)).status == 400


async def test_a_commit_on_anything_but_a_branch_is_refused(call: Call, commit: Commit) -> None:
    head = (await commit(file("a"))).json["commitOid"]
    await call("POST", f"{DEMO}/tag/main", ALICE, json={"tag": "v1"})
    for revision in (head, "v1", "refs%2Ftags%2Fv1", "nowhere", "refs%2Fpr%2F1"):
        answer = await commit(file("b"), to=revision)
        assert (answer.status, answer.headers["X-Error-Code"]) == (404, "RevisionNotFound"), revision


async def test_a_commit_on_an_old_parent_is_refused(call: Call, commit: Commit) -> None:
    first = (await commit(file("a"))).json["commitOid"]
    assert (await commit(file("b"), parentCommit=first)).status == 200
    late = await commit(file("c"), parentCommit=first)
    assert late.status == 412
    assert late.json["error"] == ("The branch was updated since you opened this page. Please refresh and try again.")


async def test_lines_may_be_cut_anywhere(call: Call, commit: Commit) -> None:
    body = lines(file("a", b"a" * 1000), file("b", b"b"))

    async def drops() -> Any:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    assert (await call("POST", f"{DEMO}/commit/main", ALICE, data=drops())).status == 200
    assert await paths(call) == [".gitattributes", "a", "b"]


@pytest.mark.parametrize("form", ["form", "json", "json without revision"])
async def test_paths_info_takes_what_each_client_sends(call: Call, commit: Commit, form: str) -> None:
    await commit(file("a b+c.txt"), file("folder/x"))
    wanted = ["a b+c.txt", "folder", "nothing"]
    if form == "form":
        sent: dict[str, Any] = {"data": [("paths", path) for path in wanted] + [("expand", "True")]}
    else:
        sent = {"json": {"paths": wanted, "expand": True}}
    answer = await call("POST", f"{DEMO}/paths-info{'' if 'without' in form else '/main'}", **sent)
    assert [entry["path"] for entry in answer.json] == ["a b+c.txt", "folder"]
    assert all(entry["lastCommit"]["title"] == "change" for entry in answer.json)


async def test_more_paths_than_the_hub_takes_are_too_many(call: Call, commit: Commit) -> None:
    answer = await call("POST", f"{DEMO}/paths-info/main", json={"paths": [str(number) for number in range(1001)]})
    assert answer.status == 413


async def test_the_path_of_a_tree_may_be_encoded_whole(call: Call, commit: Commit) -> None:
    await commit(file("one/two/a%2Fb.txt"))
    for path in ("one%2Ftwo", "one/two"):
        tree = await call("GET", f"{DEMO}/tree/refs%2Fheads%2Fmain/{path}")
        assert [entry["path"] for entry in tree.json] == ["one/two/a%2Fb.txt"]
    size = await call("GET", f"{DEMO}/treesize/main/one")
    assert size.json == {"path": "one", "size": 1}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/tree/main/nothing", "EntryNotFound"),
        ("/tree/nowhere", "RevisionNotFound"),
        ("/revision/no", "RevisionNotFound"),
    ],
)
async def test_what_is_missing_is_named_by_its_code(call: Call, commit: Commit, path: str, code: str) -> None:
    answer = await call("GET", DEMO + path)
    assert (answer.status, answer.headers["X-Error-Code"]) == (404, code)
    assert answer.json["error"] == answer.headers["X-Error-Message"]


async def test_hashes_of_large_files_are_hidden_from_those_outside_a_gate(
    sandbox: Sandbox, call: Call, commit: Commit
) -> None:
    content = b"weights"
    oid = hashlib.sha256(content).hexdigest()
    repo = sandbox.hub.find(RepoType.MODEL, "alice/demo")
    sandbox.hub.objects.put(content)
    sandbox.hub.lfs_received(repo, oid, len(content), by="alice")
    pointer = ("lfsFile", {"path": "m.bin", "algo": "sha256", "oid": oid, "size": len(content)})
    assert (await commit(pointer)).status == 200
    await call("PUT", f"{DEMO}/settings", ALICE, json={"gated": "manual"})
    seen = {}
    for token in (None, BOB, ALICE):
        [entry] = (await call("POST", f"{DEMO}/paths-info/main", token, json={"paths": ["m.bin"]})).json
        seen[token] = entry["lfs"]["oid"]
        assert (entry["size"], entry["lfs"]["size"]) == (len(content), len(content))
    assert seen == {None: "*" * 64, BOB: "*" * 64, ALICE: oid}


async def test_pages_lead_to_the_next_by_an_absolute_address(call: Call, commit: Commit) -> None:
    await commit(*(file(str(number)) for number in range(5)))
    first = await call("GET", f"{DEMO}/tree/main?limit=4&recursive=false")
    assert len(first.json) == 4
    link = first.headers["Link"]
    assert link.startswith("<http://127.0.0.1:")
    assert link.endswith('>; rel="next"')
    second = await call("GET", link[1 : link.index(">")])
    assert [len(second.json), "Link" in second.headers] == [2, False]


async def test_addresses_begin_with_the_public_url_where_there_is_one(call: Call) -> None:
    async with running_sandbox(SandboxConfig(public_url="https://huggingface.co", page_size=1)) as sandbox:
        for name in ("a", "b"):
            made = await call("POST", f"{sandbox.url}/api/repos/create", ALICE, json={"name": name})
            assert made.json["url"] == f"https://huggingface.co/alice/{name}"
        listed = await call("GET", f"{sandbox.url}/api/models?author=alice")
        assert listed.headers["Link"].startswith("<https://huggingface.co/api/models?author=alice&cursor=")


@pytest.mark.parametrize(
    ("path", "size", "sample", "mode"),
    [
        ("weights.bin", 5, b"text", "lfs"),
        ("notes.txt", 5, b"text", "regular"),
        ("notes.txt", 11 * 1024 * 1024, b"text", "lfs"),
        ("picture.png", 5, b"\x89PNG\0", "lfs"),
        ("empty.bin", 0, b"", "regular"),
        ("deep/saved_model/x/y", 5, b"text", "regular"),
        ("saved_model/x/y", 5, b"text", "lfs"),
    ],
)
async def test_preupload_tells_how_to_send_a_file(
    call: Call, commit: Commit, path: str, size: int, sample: bytes, mode: str
) -> None:
    wanted = {"path": path, "size": size, "sample": base64.b64encode(sample).decode()}
    told = (await call("POST", f"{DEMO}/preupload/main", ALICE, json={"files": [wanted]})).json
    assert told["files"] == [{"path": path, "uploadMode": mode, "shouldIgnore": False}]
    assert told["commitOid"] == (await call("GET", DEMO)).json["sha"]


async def test_preupload_knows_what_is_there_and_what_is_ignored(call: Call, commit: Commit) -> None:
    await commit(file("a.txt", b"a"), file(".gitignore", b"# not these\nlogs/\n*.tmp\n"))
    wanted = [{"path": path, "size": 1, "sample": ""} for path in ("a.txt", "logs/1/x", "b.tmp", "logs.txt")]
    told = (await call("POST", f"{DEMO}/preupload/main", ALICE, json={"files": wanted})).json["files"]
    assert [each["shouldIgnore"] for each in told] == [False, True, True, False]
    assert told[0]["oid"] == "2e65efe2a145dda7ee51d1741299f848e5bf752e"


async def test_expand_tells_only_what_is_asked_and_names_what_may_be(call: Call, commit: Commit) -> None:
    told = await call("GET", f"{DEMO}?expand=sha&expand[]=gated")
    assert set(told.json) == {"_id", "id", "sha", "gated"}
    refused = await call("GET", "/api/models?expand=nothing")
    assert refused.status == 400
    assert refused.json["error"].startswith('"expand" must be one of [author, cardData,')


async def test_a_kernel_has_no_siblings(call: Call) -> None:
    await call("POST", "/api/repos/create", ALICE, json={"name": "k", "type": "kernel"})
    assert "siblings" not in (await call("GET", "/api/kernels/alice/k")).json


async def test_calls_over_the_quota_are_refused_when_switched_on(call: Call) -> None:
    from hfproxy.sandbox.config import Quotas

    async with running_sandbox(SandboxConfig(quotas=Quotas(api=1), limit_rates=True)) as sandbox:
        answers = [await call("GET", f"{sandbox.url}/api/models") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert answers[1].headers["RateLimit"].startswith('"api";r=0;t=')
    assert answers[1].headers["RateLimit-Policy"] == '"fixed window";"api";q=1;w=300'


async def test_a_browser_may_ask_from_anywhere(call: Call) -> None:
    asked = {
        "Origin": "https://app.example.org",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = await call("OPTIONS", f"{DEMO}/settings", headers=asked)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert answer.headers["Access-Control-Allow-Methods"] == "PUT"
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
