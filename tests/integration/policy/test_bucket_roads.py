"""Rules decide about buckets as about repositories, and about what a batch copies from."""

import json
from datetime import UTC, datetime
from typing import Any

from hfproxy.sandbox.bucketed import BucketFile
from tests.integration.policy.conftest import Ruled, Ruling
from tests.integration.policy.test_roads import NO_PICKLE, ONLY_ALICE

ABSENT = "0" * 64
Calls = list[tuple[str, str, dict[str, Any]]]


def batch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"data": "".join(json.dumps(each) + "\n" for each in operations)}


def added(path: str) -> dict[str, Any]:
    return {"type": "addFile", "path": path, "xetHash": ABSENT}


def deleted(path: str) -> dict[str, Any]:
    return {"type": "deleteFile", "path": path}


def copied(path: str, source: str, kind: str) -> dict[str, Any]:
    return {"type": "copyFile", "path": path, "xetHash": ABSENT, "sourceRepoType": kind, "sourceRepoId": source}


async def with_buckets(hub: Ruled, *names: str) -> Ruled:
    """The same, with these buckets, a pickle and a text in each."""
    for name in names:
        assert (await hub.on_the_hub("POST", f"/api/buckets/{name}", json={})).status == 200
        bucket = hub.sandbox.hub.buckets.find(name)
        assert bucket is not None
        for path in ("model.pkl", "notes.txt"):
            now = datetime.now(UTC)
            bucket.files[path] = BucketFile(path=path, xet_hash=ABSENT, size_bytes=1, mtime=now, uploaded_at=now)
    return hub


async def test_a_denied_file_is_refused_on_every_road_of_a_bucket(ruled: Ruling) -> None:
    hub = await with_buckets(await ruled(NO_PICKLE), "alice/pool")
    where = "/api/buckets/alice/pool"
    denied: Calls = [
        ("GET", "/buckets/alice/pool/resolve/model.pkl", {}),
        ("HEAD", "/buckets/alice/pool/resolve/deep%2Fmodel.PKL", {}),
        ("GET", f"{where}/xet-read-token", {}),
        ("GET", f"{where}/events", {}),
        ("POST", f"{where}/batch", batch(added("notes.txt"), added("deep/new.pkl"))),
        ("POST", f"{where}/batch", batch(deleted("model.pkl"))),
        ("POST", f"{where}/batch", batch(copied("a.pkl", "alice/pool", "bucket"))),
        # What is copied is known by its hash alone: it may be a pickle by another name.
        ("POST", f"{where}/batch", batch(copied("notes.txt", "alice/pool", "bucket"))),
        ("POST", f"{where}/batch", batch(copied("notes.txt", "alice/demo", "model"))),
        ("POST", f"{where}/batch", batch({"type": "linkFile", "path": "notes.txt"})),
        ("POST", f"{where}/BATCH", batch(deleted("./model"))),
        ("POST", f"{where}/batch", {"data": b"no JSON"}),
    ]
    for method, path, options in denied:
        hub.sandbox.asked.clear()
        answer = await hub.ask(method, path, **options)
        assert answer.status == 403, (method, path, options, answer.body)
        assert "no-pickle" in answer.headers["X-Error-Message"], path
        assert [each for each in hub.sandbox.asked if each.raw_path == path] == []
    for method, path, options, status in [
        ("GET", where, {}, 200),
        ("GET", f"{where}/xet-write-token", {}, 200),
        ("POST", f"{where}/batch", batch(deleted("notes.txt")), 200),
        ("POST", f"{where}/batch", batch(added("notes.txt")), 422),  # of a content that was never uploaded
    ]:
        answer = await hub.ask(method, path, **options)
        assert answer.status == status, (method, path, answer.body)


async def test_what_may_not_be_read_of_a_bucket_is_not_shown(ruled: Ruling) -> None:
    hub = await with_buckets(await ruled(NO_PICKLE), "alice/pool")
    tree = await hub.ask("GET", "/api/buckets/alice/pool/tree")
    assert [entry["path"] for entry in tree.json()] == ["notes.txt"]
    assert tree.headers["X-HF-Warning"].startswith("policy; 1 file is not shown")
    infos = await hub.ask("POST", "/api/buckets/alice/pool/paths-info", json={"paths": ["model.pkl", "notes.txt"]})
    assert [entry["path"] for entry in infos.json()] == ["notes.txt"]


async def test_an_allow_list_shuts_out_other_buckets_and_what_would_be_copied_from_elsewhere(ruled: Ruling) -> None:
    hub = await with_buckets(await ruled(ONLY_ALICE), "alice/pool", "acme/pool")
    moved = {"fromRepo": "alice/pool", "toRepo": "acme/new", "type": "bucket"}
    denied: Calls = [
        ("GET", "/api/buckets/acme/pool", {}),
        ("GET", "/api/buckets/acme/pool/tree", {}),
        ("GET", "/api/buckets/acme/pool/xet-write-token", {}),
        ("POST", "/api/buckets/acme/new", {"json": {}}),
        ("DELETE", "/api/buckets/acme/pool", {}),
        ("PUT", "/api/buckets/acme/pool/settings", {"json": {"private": True}}),
        ("POST", "/api/repos/move", {"json": moved}),
        ("POST", "/api/repos/move", {"json": {**moved, "fromRepo": "acme/pool", "toRepo": "alice/new"}}),
        ("POST", "/api/buckets/alice/pool/batch", batch(copied("a", "acme/pool", "bucket"))),
        ("POST", "/api/buckets/alice/pool/batch", batch(copied("a", "acme/demo", "model"))),
        ("POST", "/api/buckets/me/pool/batch", batch(copied("a", "acme/demo", "dataset"))),
    ]
    for method, path, options in denied:
        answer = await hub.ask(method, path, **options)
        assert (answer.status, answer.rule) == (403, "default"), (method, path, options, answer.body)
    for method, path, options, status in [
        ("GET", "/api/buckets/alice/pool", {}, 200),
        ("GET", "/api/buckets/me/pool/tree", {}, 200),  # as is Alice's token
        ("POST", "/api/buckets/alice/pool/batch", batch(copied("a", "alice/demo", "model")), 422),
        ("POST", "/api/buckets/alice/pool/batch", batch(copied("a", "me/pool", "bucket")), 422),
        ("POST", "/api/repos/move", {"json": {**moved, "toRepo": "alice/new"}}, 200),
    ]:
        answer = await hub.ask(method, path, **options)
        assert answer.status == status, (method, path, answer.body)


async def test_a_bucket_that_was_renamed_is_judged_by_both_names(ruled: Ruling) -> None:
    hub = await with_buckets(await ruled(ONLY_ALICE), "alice/pool")
    moved = {"fromRepo": "alice/pool", "toRepo": "acme/pool", "type": "bucket"}
    assert (await hub.on_the_hub("POST", "/api/repos/move", json=moved)).status == 200
    for path in ("/api/buckets/alice/pool/tree", "/buckets/alice/pool/resolve/notes.txt", "/api/buckets/me/pool"):
        answer = await hub.ask("GET", path)
        assert (answer.status, answer.rule) == (403, "default"), (path, answer.body)


async def test_rules_that_change_end_a_buckets_tokens(ruled: Ruling) -> None:
    hub = await with_buckets(await ruled(ONLY_ALICE), "alice/pool")
    tokens = {}
    for kind in ("read", "write"):
        answer = await hub.ask("GET", f"/api/buckets/alice/pool/xet-{kind}-token")
        assert answer.status == 200, answer.body
        tokens[kind] = answer.json()
    rules = '[[rule]]\nname = "closed"\neffect = "deny"\nrepos = ["buckets/alice/pool"]\n'
    hub.file.write_text(rules)
    await hub.until(lambda state: state["rules"][0]["name"] == "closed")
    for kind, told in tokens.items():
        path = told["casUrl"].removeprefix(hub.gateway.url) + f"/v2/reconstructions/{ABSENT}"
        answer = await hub.ask("GET", path, headers={"Authorization": f"Bearer {told['accessToken']}"})
        assert (answer.status, answer.rule) == (403, "closed"), kind
