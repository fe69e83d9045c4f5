"""Buckets: who may do what with them, how they are listed, and what a batch takes and refuses."""

import asyncio
import json
from contextlib import asynccontextmanager
from random import Random

import aiohttp
import pytest

from hfproxy.sandbox import bucket_feeds
from hfproxy.sandbox.bucketed import Bucket
from hfproxy.sandbox.pointers import Pointer
from hfproxy.sandbox.server import SandboxConfig, running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.support.gateway import gateway_for
from tests.support.waiting import PATIENCE_S

from .conftest import ALICE, ALICE_READ, BOB

WEIGHTS = Random(1).randbytes(300_000)
SECRET = Random(2).randbytes(200_000)
ABSENT = "0" * 64


@pytest.fixture
async def hashes(sandbox):
    """The Xet hashes of a public repository's file and of a private one's, both alice's."""
    hub, found = sandbox.hub, []
    for name, visibility, content in (("open", "public", WEIGHTS), ("closed", "private", SECRET)):
        repo = hub.create_repo(RepoRef(RepoType.MODEL, "alice", name), by="alice", visibility=visibility)
        oid = hub.objects.put(content)
        hub.lfs_received(repo, oid, len(content), by="alice")
        found.append((await hub.cas.offered_file(Pointer(oid, len(content)))).name)
    return found


def copied(path, xet_hash, source="alice/open", kind="model", **more):
    what = {"type": "copyFile", "path": path, "xetHash": xet_hash, "sourceRepoType": kind, "sourceRepoId": source}
    return what | {"mtime": 1_700_000_000_123} | more


def added(path, xet_hash):
    return {"type": "addFile", "path": path, "xetHash": xet_hash, "mtime": 1_700_000_000_123}


def deleted(path):
    return {"type": "deleteFile", "path": path}


@pytest.fixture
def batch(call):
    def send(bucket, *operations, token=ALICE):
        lines = "".join(json.dumps(each) + "\n" for each in operations)
        return call("POST", f"/api/buckets/{bucket}/batch", token, data=lines)

    return send


async def paths(call, where, token=ALICE):
    answer = await call("GET", f"/api/buckets/{where}", token)
    assert answer.status == 200
    return [(entry["type"][0], entry["path"]) for entry in answer.json]


async def test_a_bucket_is_made_found_renamed_and_deleted(call, sandbox):
    made = await call("POST", "/api/buckets/me/Data", ALICE, json={"visibility": "private"})
    assert made.status == 200
    assert made.json["url"] == f"{sandbox.url}/buckets/alice/Data" and made.json["name"] == "alice/Data"
    again = await call("POST", "/api/buckets/alice/data", ALICE, json={})
    assert again.status == 409 and again.json["url"] == made.json["url"] and again.json["id"] == made.json["id"]
    told = (await call("GET", "/api/buckets/alice/Data", ALICE)).json
    assert told["id"] == "alice/Data" and told["private"] and (told["size"], told["totalFiles"]) == (0, 0)
    assert [each["id"] for each in (await call("GET", "/api/buckets/me?search=dat", ALICE)).json] == ["alice/Data"]
    assert (await call("GET", "/api/buckets/me?search=x", ALICE)).json == []

    move = {"fromRepo": "alice/Data", "toRepo": "acme/archive", "type": "bucket"}
    assert (await call("POST", "/api/repos/move", ALICE, json=move)).status == 200
    moved = await call("GET", "/api/buckets/alice/Data/tree?recursive=false", ALICE)
    assert moved.status == 307 and moved.headers["Location"] == "/api/buckets/acme/archive/tree?recursive=false"
    assert (await call("PUT", "/api/buckets/acme/archive/settings", ALICE, json={"private": False})).status == 200
    assert not (await call("GET", "/api/buckets/acme/archive")).json["private"]
    assert (await call("DELETE", "/api/buckets/acme/archive", ALICE)).status == 200
    assert (await call("GET", "/api/buckets/acme/archive", ALICE)).status == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/buckets/alice/-x", {}),
        ("POST", "/api/buckets/alice/x", {"visibility": "protected"}),
        ("POST", "/api/buckets/alice/x", {"private": "yes"}),
        ("POST", "/api/buckets/alice/x", {"region": 5}),
        ("POST", "/api/buckets/alice/pool/paths-info", {"paths": [5]}),
        ("POST", "/api/repos/move", {"fromRepo": "alice/pool", "toRepo": "alice/-x", "type": "bucket"}),
    ],
)
async def test_what_makes_no_sense_is_refused(call, method, path, body):
    await call("POST", "/api/buckets/alice/pool", ALICE, json={})
    assert (await call(method, path, ALICE, json=body)).status == 400


async def test_a_private_bucket_is_nobodys_business(call, batch, hashes):
    await call("POST", "/api/buckets/alice/closet", ALICE, json={"private": True})
    await batch("alice/closet", copied("w.bin", hashes[1], "alice/closed"))
    for path in ("/api/buckets/alice/closet", "/api/buckets/alice/closet/tree", "/buckets/alice/closet/resolve/w.bin"):
        assert (await call("GET", path)).status == 401
        assert (await call("GET", path, BOB)).status == 404
        assert (await call("GET", path, ALICE_READ)).status in {200, 302}
    assert (await call("GET", "/api/buckets/alice/closet/xet-read-token", BOB)).status == 404
    assert (await call("GET", "/api/buckets/alice", BOB)).json == []
    assert (await call("GET", "/api/buckets/me")).status == 401
    await call("POST", "/api/buckets/alice/shown", ALICE, json={})
    for token, status in ((None, 401), (BOB, 403), (ALICE_READ, 403)):
        assert (await batch("alice/shown", deleted("x"), token=token)).status == status
        assert (await call("DELETE", "/api/buckets/alice/shown", token)).status == status
        assert (await call("GET", "/api/buckets/alice/shown/xet-write-token", token)).status == status
        assert (await call("POST", "/api/buckets/alice/mine", token, json={})).status == status


async def test_a_batch_carries_out_what_it_can(call, batch, hashes):
    await call("POST", "/api/buckets/alice/pool", ALICE, json={})
    answer = await batch("alice/pool", copied("a.bin", hashes[0]), copied("b.bin", ABSENT), copied("../c", hashes[0]))
    assert answer.status == 200
    assert [each["path"] for each in answer.json.pop("failed")] == ["b.bin", "../c"]
    assert answer.json == {"success": False, "processed": 3, "succeeded": 1}
    assert (await batch("alice/pool", copied("b.bin", ABSENT))).status == 422
    again = await batch("alice/pool", added("b.bin", hashes[0]), deleted("a.bin"))
    assert again.status == 200 and again.json["success"]
    [file] = (await call("GET", "/api/buckets/alice/pool/tree")).json
    assert (file["path"], file["size"], file["xetHash"]) == ("b.bin", len(WEIGHTS), hashes[0])
    assert file["mtime"] == "2023-11-14T22:13:20.123Z"
    for nonsense in ("{", "[]", '{"type":"x"}', json.dumps(added("a", hashes[0]) | {"mtime": 10**20})):
        assert (await call("POST", "/api/buckets/alice/pool/batch", ALICE, data=nonsense)).status == 400


async def test_a_hash_alone_gives_no_content(call, batch, hashes):
    """Who knows the hash of another's file can put it into a bucket neither as an upload nor as a copy."""
    await call("POST", "/api/buckets/bob/loot", BOB, json={})
    for operation in (
        added("w.bin", hashes[1]),
        added("w.bin", hashes[0]),
        copied("w.bin", hashes[1], "alice/closed"),
        copied("w.bin", hashes[1], "alice/open"),
        copied("w.bin", hashes[1], "nobody/nothing", "bucket"),
        copied("w.bin", "nonsense"),
    ):
        assert (await batch("bob/loot", operation, token=BOB)).status == 422
    assert (await batch("bob/loot", copied("w.bin", hashes[0]), token=BOB)).status == 200


async def test_a_listing_goes_by_the_beginning_of_paths(call, batch, hashes):
    await call("POST", "/api/buckets/alice/pool", ALICE, json={})
    names = ("logs/a", "logs/sub/b", "logs.json", "logs_old/c/d", "other")
    await batch("alice/pool", *(copied(name, hashes[0]) for name in names))
    assert await paths(call, "alice/pool/tree") == [("f", name) for name in sorted(names)]
    top = await paths(call, "alice/pool/tree?recursive=false")
    assert sorted(top) == [("d", "logs"), ("d", "logs_old"), ("f", "logs.json"), ("f", "other")]
    below = await paths(call, "alice/pool/tree/logs?recursive=false")
    assert sorted(below) == [("d", "logs/sub"), ("d", "logs_old/c"), ("f", "logs.json"), ("f", "logs/a")]
    assert await paths(call, "alice/pool/tree/logs%2Fsub?recursive=true") == [("f", "logs/sub/b")]
    seen, path = [], "/api/buckets/alice/pool/tree?limit=2"
    while path:
        page = await call("GET", path)
        seen += [entry["path"] for entry in page.json]
        path = page.headers["Link"].split(">")[0][1:] if "Link" in page.headers else None
    assert seen == sorted(names)
    asked = await call("POST", "/api/buckets/alice/pool/paths-info", json={"paths": ["other", "logs", "none"]})
    assert [entry["path"] for entry in asked.json] == ["other"]


async def test_a_file_is_described_to_head_and_found_on_the_cdn(call, batch, hashes, sandbox):
    await call("POST", "/api/buckets/alice/pool", ALICE, json={})
    await batch("alice/pool", copied("sub/w x.bin", hashes[0]))
    head = await call("HEAD", "/buckets/alice/pool/resolve/sub%2Fw%20x.bin")
    assert head.status == 200 and int(head.headers["Content-Length"]) == len(WEIGHTS)
    assert head.headers["X-Xet-Hash"] == hashes[0] and 'rel="xet-auth"' in head.headers["Link"]
    found = await call("GET", "/buckets/alice/pool/resolve/sub/w%20x.bin")
    assert found.status == 302
    assert (await call("GET", found.headers["Location"])).body == WEIGHTS
    missing = await call("GET", "/buckets/alice/pool/resolve/none")
    assert missing.status == 404 and missing.headers["X-Error-Code"] == "EntryNotFound"


async def test_a_token_opens_the_files_of_its_bucket_alone(call, batch, hashes, sandbox):
    await call("POST", "/api/buckets/alice/pool", ALICE, json={})
    await batch("alice/pool", copied("w.bin", hashes[0]))
    read = (await call("GET", "/api/buckets/alice/pool/xet-read-token")).json["accessToken"]
    for xet_hash, status in ((hashes[0], 200), (hashes[1], 404)):
        assert (await call("GET", f"{sandbox.cas_url}/v1/reconstructions/{xet_hash}", read)).status == status
    await batch("alice/pool", deleted("w.bin"))
    assert (await call("GET", f"{sandbox.cas_url}/v1/reconstructions/{hashes[0]}", read)).status == 404
    write = (await call("GET", "/api/buckets/alice/pool/xet-write-token", ALICE)).json["accessToken"]
    assert (await call("GET", f"{sandbox.cas_url}/v1/reconstructions/{hashes[0]}", write)).status == 200
    await call("DELETE", "/api/buckets/alice/pool", ALICE)
    assert (await call("GET", f"{sandbox.cas_url}/v1/reconstructions/{hashes[0]}", write)).status == 404


async def test_what_a_bucket_holds_outlives_the_repository_it_came_from(call, batch, hashes):
    await call("POST", "/api/buckets/alice/pool", ALICE, json={})
    await batch("alice/pool", copied("w.bin", hashes[0]))
    await call("DELETE", "/api/repos/delete", ALICE, json={"name": "open"})
    found = await call("GET", "/buckets/alice/pool/resolve/w.bin")
    assert (await call("GET", found.headers["Location"])).body == WEIGHTS


async def test_buckets_are_there_after_a_restart(tmp_path):
    async with running_sandbox(SandboxConfig(data=tmp_path)) as sandbox:
        now = sandbox.hub.now()
        sandbox.hub.buckets.add(Bucket(namespace="alice", name="kept", created_at=now, updated_at=now))
        sandbox.hub.keep_buckets()
    async with running_sandbox(SandboxConfig(data=tmp_path)) as sandbox:
        assert [bucket.repo_id for bucket in sandbox.hub.buckets] == ["alice/kept"]


@asynccontextmanager
async def following(base, token=ALICE, **place):
    """The live feed of alice/fed: a function that waits for the next event; None is the end."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.get(f"{base}/api/buckets/alice/fed/events", params=place) as answer,
    ):

        async def next_event():
            told = {}
            async with asyncio.timeout(PATIENCE_S):
                while line := (await answer.content.readline()).decode():
                    if line == "\n" and told:
                        return told["event"], json.loads(told["data"])
                    name, _, value = line.rstrip().partition(": ")
                    told |= {name: value} if name else {}
            return None

        yield answer, next_event


def ops(event):
    name, data = event
    assert name == "changes"
    return [(each["op"], each["path"]) for each in data["changes"]]


async def test_changes_are_followed_live_through_the_gateway_and_end_with_the_bucket(
    call, batch, hashes, sandbox, tmp_path
):
    await call("POST", "/api/buckets/alice/fed", ALICE, json={"visibility": "private"})
    begun = (await call("GET", "/api/buckets/alice/fed", ALICE)).json["updatedAt"]
    await batch("alice/fed", copied("a", hashes[0]), copied("b", hashes[0]))
    async with gateway_for(sandbox.url, tmp_path) as gateway, following(gateway.url, since=begun) as (answer, event):
        assert answer.content_type == "text/event-stream"
        first = await event()
        assert ops(first) == [("add", "a"), ("add", "b")]
        assert first[1]["changes"][0]["size"] == len(WEIGHTS)
        assert first[1]["changes"][0]["xetHash"] == hashes[0]
        assert await event() == ("ready", {"cursor": first[1]["cursor"]})
        await batch("alice/fed", copied("a", hashes[1], "alice/closed"), deleted("b"), deleted("never"))
        second = await event()
        assert ops(second) == [("update", "a"), ("delete", "b")]
        async with following(gateway.url, cursor=first[1]["cursor"]) as (_, again):
            assert await again() == second
            assert (await again())[0] == "ready"
        await call("DELETE", "/api/buckets/alice/fed", ALICE)
        assert await event() is None


async def test_a_place_that_is_not_known_any_more_is_told_so(call, batch, hashes, sandbox, monkeypatch):
    monkeypatch.setattr(bucket_feeds, "MOST_BATCHES", 1)
    await call("POST", "/api/buckets/alice/fed", ALICE, json={})
    begun = (await call("GET", "/api/buckets/alice/fed", ALICE)).json["updatedAt"]
    async with following(sandbox.url) as (_, event):
        assert await event() == ("ready", {})
    for name in "abc":
        await batch("alice/fed", copied(name, hashes[0]))
    for place in ({"since": begun}, {"since": "2020-01-01T00:00:00Z"}, {"cursor": "0123456789abcdef-1"}):
        async with following(sandbox.url, **place) as (_, event):
            assert (await event())[0] == "reset"
            assert await event() is None
    for wrong in ({"since": "yesterday"}, {"cursor": "x"}, {"cursor": "a-b"}):
        async with following(sandbox.url, **wrong) as (answer, _):
            assert answer.status == 400
    newest = (await call("GET", "/api/buckets/alice/fed", ALICE)).json["updatedAt"]
    async with following(sandbox.url, since=newest) as (_, event):
        assert ops(await event()) == [("add", "c")]
        assert (await event())[0] == "ready"


async def test_who_may_not_see_a_bucket_does_not_follow_it(call, sandbox):
    await call("POST", "/api/buckets/alice/fed", ALICE, json={})
    async with following(sandbox.url, BOB) as (_, event):
        assert await event() == ("ready", {})
        await call("PUT", "/api/buckets/alice/fed/settings", ALICE, json={"private": True})
        assert await event() is None
    async with following(sandbox.url, BOB) as (answer, _):
        assert answer.status == 404
