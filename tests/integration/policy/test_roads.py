"""Whatever road a call takes, the same rules decide about it, and what they deny never reaches the Hub."""

import hashlib
from typing import Any

import pytest

from tests.integration.policy.conftest import FILES, LFS, Ruling, added, commit

NO_PICKLE = """
[[rule]]
name = "no-pickle"
effect = "deny"
reason = "Pickles run code."
actions = ["read", "write"]
files = ["*.pkl"]
"""
ONLY_ALICE = """
default = "deny"
reason = "Not on the list."
[[rule]]
name = "alice"
effect = "allow"
repos = ["alice/*"]
"""
READ_ONLY = """
[[rule]]
name = "look"
effect = "read-only"
repos = ["acme/*"]
"""
OBJECT = {"oid": hashlib.sha256(b"x").hexdigest(), "size": 1}


def batch(operation: str, size: int = 1) -> dict[str, Any]:
    return {"json": {"operation": operation, "transfers": ["basic"], "objects": [{**OBJECT, "size": size}]}} | {
        "headers": LFS
    }


async def test_a_denied_file_is_refused_on_every_road_and_its_neighbours_are_not(ruled: Ruling) -> None:
    hub = await ruled(NO_PICKLE)
    refs = (await hub.on_the_hub("GET", "/api/models/alice/demo/refs")).json()
    head = refs["branches"][0]["targetCommit"]
    pickle = commit(added("notes.txt", b"n"), added("deep/new.pkl", b"\x80"))
    preupload = {"files": [{"path": "new.pkl", "sample": "", "size": 1}]}
    denied: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/alice/demo/resolve/main/model.pkl", {}),
        ("HEAD", "/alice/demo/resolve/main/model.pkl", {}),
        ("GET", "/Alice/DEMO/resolve/main/old/data.PKL", {}),
        ("GET", "/alice/demo/resolve/main/old%2Fdata.PKL", {}),
        ("GET", f"/alice/demo/resolve/{head}/model.pkl", {"headers": {"Range": "bytes=0-9"}}),
        ("GET", "/alice/demo/raw/main/model.pkl", {}),
        ("GET", "/alice/demo/blob/main/model.pkl", {}),
        ("GET", f"/api/resolve-cache/models/alice/demo/{head}/model.pkl", {}),
        ("GET", f"/api/models/alice/demo/xet-read-token/{head}", {}),
        ("POST", "/alice/demo.git/info/lfs/objects/batch", batch("download")),
        ("GET", "/alice/demo.git/info/refs?service=git-upload-pack", {}),
        ("POST", "/alice/demo.git/git-upload-pack", {"data": b"0000"}),
        ("GET", "/alice/demo/info/refs?service=git-receive-pack", {}),
        ("POST", "/alice/demo.git/git-receive-pack", {"data": b"0000"}),
        ("POST", "/api/models/alice/demo/preupload/main", {"json": preupload}),
        ("POST", "/api/models/alice/demo/commit/main", {"data": pickle}),
        ("POST", "/api/models/alice/demo/commit/main", {"data": commit(("deletedFolder", {"path": "old/"}))}),
        ("POST", "/api/models/alice/demo/commit/main", {"data": commit(added("./a.pkl", b"x"))}),
        ("POST", "/api/models/alice/demo/commit/main", {"data": b"no JSON at all\n"}),
        ("GET", "/api/models/alice/demo/compare/main..main", {}),
        ("GET", f"/alice/demo/commit/{head}", {}),
        ("GET", "/api/models/alice/demo/discussions/1?diff=1", {}),
        ("POST", "/api/models/alice/demo/discussions/1/merge", {"json": {}}),
        ("POST", "/api/models/alice/demo/discussions/1/MERGE", {"json": {}}),
        ("GET", "/alice/demo/resolve/refs/heads/main/config.json", {}),
        ("GET", "/alice/demo/raw/refs/heads/main/config.json", {}),
        ("GET", "/alice/demo/blob/refs/heads/main/config.json", {}),
        ("POST", "/api/models/alice/demo/duplicate", {"json": {"repository": "alice/copy"}}),
        ("GET", "/api/models/alice%2Fdemo/unheard-of", {}),
        ("GET", "/alice/demo/resolve/main//model.pkl", {}),
        ("GET", "/alice/demo/RESOLVE/main/model.pkl", {}),
        ("GET", "/alice/demo.GIT/info/refs?service=git-upload-pack", {}),
        ("GET", "/alice/demo.git/HEAD", {}),
        ("GET", "/alice/demo.git/objects/info/packs", {}),
        ("POST", "/alice/demo.git/git-upload-archive", {"data": b"0000"}),
        ("GET", "/alice/demo/raw/refs%2Fpr%2F1/model.pkl", {}),
        ("GET", "/alice/demo/resolve/refs%2Fpr%2F1/MODEL.PKL?download=true", {}),
        ("GET", "/API/resolve-cache/models/alice/demo/" + head + "/model.pkl", {}),
        ("GET", f"/api/Resolve-Cache/models/alice/demo/{head}/model.pkl", {}),
        ("GET", "/api/Models/alice/demo/tree/main", {}),
        ("GET", "/api/what-is-new/alice/demo/model.pkl", {}),
        ("GET", "/api/models/alice/demo/discussions/1?diff[]=1", {}),
        ("GET", "/api/models/alice/demo/discussions/1?diff%5B0%5D=1", {}),
        ("GET", "/alice/demo/discussions/1/files", {}),
        ("GET", "/alice/demo/edit/main/model.pkl", {}),
        ("GET", "/alice/demo/viewer/default", {}),
        ("GET", "/alice/demo/archive/main.zip", {}),
        ("POST", "/api/models/alice/demo/lfs-files/duplicate", {"json": {"target": {"name": "alice/x"}, "files": []}}),
        ("POST", "/api/jobs/alice", {"json": {"volumes": [{"type": "model", "source": "alice/demo"}]}}),
        ("PUT", "/api/spaces/alice/demo/Volumes", {"json": {"volumes": []}}),
    ]
    for method, path, options in denied:
        answer = await hub.ask(method, path, **options)
        assert answer.status == 403, (method, path, answer.body)
        assert answer.headers["X-Error-Message"].startswith("Pickles run code. (policy rule: no-pickle)"), path
        if method != "HEAD":
            assert answer.rule == "no-pickle"
            assert answer.json()["code"] == "PolicyDenied"
    assert (await hub.on_the_hub("GET", "/api/models/alice/demo/refs")).json() == refs

    allowed: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/alice/demo/resolve/main/config.json", {}),
        ("HEAD", "/alice/demo/resolve/main/config.json", {}),
        ("GET", "/alice/demo/raw/main/config.json", {}),
        ("GET", "/api/models/alice/demo", {}),
        ("GET", "/api/models/alice/demo/refs", {}),
        ("GET", "/api/models?limit=3", {}),
        ("GET", "/api/whoami-v2", {}),
        ("GET", "/api/models/alice/demo/discussions", {}),
        ("POST", "/alice/demo.git/info/lfs/objects/batch", batch("upload")),
        ("POST", "/api/models/alice/demo/commit/main", {"data": commit(added("notes.txt", b"n"))}),
        ("POST", "/api/models/alice/demo/branch/next", {"json": {}}),
    ]
    for method, path, options in allowed:
        answer = await hub.ask(method, path, **options)
        assert answer.status == 200, (method, path, answer.body)


async def test_a_commit_that_is_looked_through_arrives_as_it_was_sent(ruled: Ruling) -> None:
    hub = await ruled(NO_PICKLE)
    content = bytes(range(256)) * 4000

    async def slowly() -> Any:
        body = commit(added("large.bin.txt", content))
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    assert (await hub.ask("POST", "/api/models/alice/demo/commit/main", data=slowly())).status == 200
    assert (await hub.on_the_hub("GET", "/alice/demo/raw/main/large.bin.txt")).body == content


async def test_what_may_not_be_read_is_not_offered(ruled: Ruling) -> None:
    hub = await ruled(NO_PICKLE)
    readable = {path for path in FILES if not path.lower().endswith(".pkl")} | {".gitattributes"}
    for _ in range(2):  # asked, and kept
        tree = await hub.ask("GET", "/api/models/alice/demo/tree/main?recursive=true")
        assert {entry["path"] for entry in tree.json() if entry["type"] == "file"} == readable
        assert tree.headers["X-HF-Warning"].startswith("policy; 2 files are not shown")
        info = await hub.ask("GET", "/api/models/alice/demo/revision/main")
        assert {sibling["rfilename"] for sibling in info.json()["siblings"]} == readable
    form = {"paths": ["model.pkl", "config.json"]}
    for options in ({"data": form}, {"data": b"paths=model.pkl&paths=config.json", "chunked": True}):
        options.setdefault("headers", {"Content-Type": "application/x-www-form-urlencoded"})
        asked = await hub.ask("POST", "/api/models/alice/demo/paths-info/main", **options)
        assert [entry["path"] for entry in asked.json()] == ["config.json"]


async def test_an_allow_list_shuts_out_every_other_repository(ruled: Ruling) -> None:
    hub = await ruled(ONLY_ALICE)
    moved = {"fromRepo": "alice/demo", "toRepo": "acme/new", "type": "model"}
    denied: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/acme/demo/resolve/main/config.json", {}),
        ("GET", "/api/models/acme/demo", {}),
        ("GET", "/api/models/acme/demo/tree/main", {}),
        ("GET", "/acme/demo.git/info/refs?service=git-upload-pack", {}),
        ("POST", "/acme/demo.git/info/lfs/objects/batch", batch("download")),
        ("POST", "/acme/demo.git/info/lfs/objects/batch", batch("upload")),
        ("GET", "/api/models/acme/demo/xet-read-token/main", {}),
        ("GET", "/api/models/acme/demo/xet-write-token/main", {}),
        ("POST", "/api/models/acme/demo/commit/main", {"data": commit(added("a", b"a"))}),
        ("POST", "/api/repos/create", {"json": {"name": "new", "organization": "acme"}}),
        ("DELETE", "/api/repos/delete", {"json": {"name": "demo", "organization": "acme"}}),
        ("POST", "/api/repos/move", {"json": moved}),
        ("PUT", "/api/models/acme/demo/settings", {"json": {"private": True}}),
        ("POST", "/api/models/acme/demo/discussions", {"json": {"title": "t"}}),
        ("POST", "/api/repo", {"json": {"name": "acme/new", "type": "model"}}),
        ("PUT", "/api/repo", {"json": {"namespace": "acme/demo", "type": "model", "private": True}}),
        ("DELETE", "/api/repo", {"json": {"name": "acme/demo", "type": "model"}}),
        ("GET", "/api/repo?type=model", {}),
        ("GET", "/api/models", {}),
        ("GET", "/acme/demo", {}),
        ("GET", "/gpt2", {}),
        ("GET", "/api/buckets/acme/data", {}),
        ("GET", "/buckets/acme/data/resolve/x.bin", {}),
        ("GET", "/api/datasets/acme/demo/parquet/default/train/0.parquet", {}),
        ("GET", "/spaces/acme/demo/resolve/main/app.py", {}),
        ("POST", "/api/spaces/acme/demo/restart", {}),
        ("GET", "/api/models/acme%2Fdemo", {}),
        ("GET", "/some/thing/nobody/knows", {}),
        ("GET", f"/api/resolve-cache/models/demo/{'0' * 40}/config.json", {}),
        ("GET", "/api/models/gpt2/XET-READ-TOKEN/main", {}),
        ("POST", "/api/collections/alice/mine-0/items", {"json": {"item": {"type": "model", "id": "acme/demo"}}}),
        ("POST", "/api/collections", {"json": {"item": {"type": "model", "id": "acme/demo"}}}),
        ("POST", "/api/models/alice/demo/lfs-files/duplicate", {"json": {"target": {"name": "acme/demo"}}}),
        ("POST", "/api/models/acme/demo/lfs-files/duplicate", {"json": {"target": {"name": "alice/demo"}}}),
        ("POST", "/api/models/acme/demo/duplicate", {"json": {"repository": "alice/copy"}}),
        ("POST", "/api/models/alice/demo/duplicate", {"json": {"repository": "acme/copy"}}),
        ("PUT", "/api/spaces/alice/demo/volumes", {"json": {"volumes": [{"type": "model", "source": "acme/demo"}]}}),
    ]
    for method, path, options in denied:
        answer = await hub.ask(method, path, **options)
        assert (answer.status, answer.rule) == (403, "default"), (method, path, answer.body)
    for method, path, options in [
        ("GET", "/alice/demo/resolve/main/config.json", {}),
        ("GET", "/alice/demo.git/info/refs?service=git-upload-pack", {}),
        ("GET", "/api/models/alice/demo", {}),
        # A name without an owner is one of Alice's, since it is her token.
        ("POST", "/api/repos/create", {"json": {"name": "mine"}}),
        ("DELETE", "/api/repos/delete", {"json": {"name": "mine"}}),
        ("GET", "/api/whoami-v2", {}),
        ("GET", "/api/account", {}),
    ]:
        assert (await hub.ask(method, path, **options)).status == 200, (method, path)


async def test_an_old_name_leads_nowhere_that_the_new_one_may_not(ruled: Ruling) -> None:
    hub = await ruled(ONLY_ALICE)
    moved = {"fromRepo": "alice/demo", "toRepo": "acme/moved", "type": "model"}
    assert (await hub.on_the_hub("POST", "/api/repos/move", json=moved)).status == 200
    answer = await hub.ask("GET", "/alice/demo/resolve/main/config.json")
    assert (answer.status, answer.rule) == (403, "default")


async def test_read_only_reads_and_changes_nothing(ruled: Ruling) -> None:
    hub = await ruled(READ_ONLY)
    for method, path, options in [
        ("POST", "/api/models/acme/demo/commit/main", {"data": commit(added("a", b"a"))}),
        ("GET", "/acme/demo.git/info/refs?service=git-receive-pack", {}),
        ("PUT", "/api/models/acme/demo/settings", {"json": {"private": True}}),
        ("POST", "/api/models/acme/demo/branch/next", {"json": {}}),
        ("POST", "/api/models/acme/demo/discussions", {"json": {"title": "t"}}),
        ("DELETE", "/api/repo", {"json": {"name": "acme/demo", "type": "model"}}),
    ]:
        answer = await hub.ask(method, path, **options)
        assert (answer.status, answer.rule) == (403, "look"), (method, path, answer.body)
    assert (await hub.ask("GET", "/acme/demo/resolve/main/model.pkl")).status == 200
    assert (await hub.ask("GET", "/acme/demo.git/info/refs?service=git-upload-pack")).status == 200
    assert (await hub.ask("POST", "/api/models/alice/demo/branch/next", json={})).status == 200


@pytest.mark.parametrize(
    ("rule", "denied", "allowed"),
    [
        ('licences = ["mit"]', "/alice/demo/resolve/main/config.json", "/alice/bare/resolve/main/config.json"),
        ('licences = ["none"]', "/alice/bare/resolve/main/config.json", "/alice/demo/resolve/main/config.json"),
        ('licences = ["none"]', "/alice/bare.git/info/refs?service=git-upload-pack", "/api/models/alice/demo"),
        ('larger_than = "3500"', "/alice/demo/resolve/main/model.safetensors", "/alice/demo/resolve/main/model.pkl"),
        ('larger_than = "3500"', "/alice/demo/raw/main/model.safetensors", "/alice/demo/raw/main/model.pkl"),
        ('larger_than = "3500"', "/alice/demo.git/info/refs?service=git-upload-pack", "/api/models/alice/demo"),
        ('at_most = "3000"', "/alice/demo/resolve/main/model.pkl", "/alice/demo/resolve/main/model.safetensors"),
        ('roles = ["admin"]\nfiles = ["*.json"]', "/alice/demo/resolve/main/config.json", "/api/models/alice/demo"),
        ('callers = ["anonymous"]\nrepos = ["acme/*"]', "/api/models/acme/demo", "/api/models/alice/demo"),
        ('types = ["dataset"]', "/api/datasets/alice/demo", "/api/models/alice/demo"),
    ],
)
async def test_every_kind_of_condition_is_asked(ruled: Ruling, rule: str, denied: str, allowed: str) -> None:
    hub = await ruled(f'[[rule]]\nname = "it"\neffect = "deny"\n{rule}\n')
    await hub.on_the_hub("POST", "/api/repos/create", json={"name": "bare"})
    await hub.on_the_hub("POST", "/api/models/alice/bare/commit/main", data=commit(added("config.json", b"{}")))
    answer = await hub.ask("GET", denied)
    assert (answer.status, answer.rule) == (403, "it"), answer.body
    assert (await hub.ask("GET", allowed)).status == 200


async def test_a_large_upload_is_refused_by_the_size_it_announces(ruled: Ruling) -> None:
    hub = await ruled('[[rule]]\nname = "small"\neffect = "deny"\nactions = ["write"]\nlarger_than = "1KiB"\n')
    for path, options in [
        ("/alice/demo.git/info/lfs/objects/batch", batch("upload", 5000)),
        ("/api/models/alice/demo/preupload/main", {"json": {"files": [{"path": "a", "sample": "", "size": 5000}]}}),
        ("/api/models/alice/demo/commit/main", {"data": commit(added("a", b"a" * 2000))}),
        ("/api/models/alice/demo/commit/main", {"data": commit(("lfsFile", {"path": "a", "size": 5000}))}),
    ]:
        answer = await hub.ask("POST", path, **options)
        assert (answer.status, answer.rule) == (403, "small"), (path, answer.body)
    assert (await hub.ask("POST", "/alice/demo.git/info/lfs/objects/batch", **batch("upload", 100))).status == 200
    small = commit(added("a", b"a" * 900))
    assert (await hub.ask("POST", "/api/models/alice/demo/commit/main", data=small)).status == 200
