"""git-lfs's API as its specification and the Hub's clients have it (contract section 6.4)."""

import asyncio
import base64
import hashlib
from typing import Any

import aiohttp
import pytest

from hfproxy.sandbox.server import SandboxConfig

from .conftest import ALICE, ALICE_READ, BOB

PART = 1000
LFS = {"Accept": "application/vnd.git-lfs+json", "Content-Type": "application/vnd.git-lfs+json"}
SMALL, LARGE = b"small object", bytes(range(256)) * 10


def oid(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def config() -> SandboxConfig:
    return SandboxConfig(part_bytes=PART, multipart_from_bytes=PART)


@pytest.fixture
async def repo(call) -> str:
    await call("POST", "/api/repos/create", ALICE, json={"name": "demo"})
    return "/alice/demo"


@pytest.fixture
def batch(call, repo):
    """One batch call; the first object of its answer."""

    async def ask(*contents: bytes, operation="upload", token=ALICE, transfers=("basic", "multipart"), **more) -> Any:
        objects = [{"oid": oid(content), "size": len(content)} for content in contents]
        body = {"operation": operation, "transfers": transfers, "objects": objects, "hash_algo": "sha256"}
        body |= {"ref": {"name": "main"}} if operation == "upload" else {}
        answer = await call("POST", f"{repo}.git/info/lfs/objects/batch", token, json=body | more, headers=LFS)
        assert answer.headers["Content-Type"] == "application/vnd.git-lfs+json" or answer.status >= 400
        return answer

    return ask


@pytest.fixture
def upload(call, batch):
    async def send(content: bytes) -> dict[str, Any]:
        [answer] = (await batch(content, transfers=["basic"])).json["objects"]
        assert (await call("PUT", answer["actions"]["upload"]["href"], data=content)).status == 200
        return answer

    return send


async def test_a_small_object_is_sent_whole_and_verified(call, batch, sandbox):
    answer = await batch(SMALL)
    assert answer.json["transfer"] == "basic"
    [told] = answer.json["objects"]
    assert (told["oid"], told["size"], told["authenticated"]) == (oid(SMALL), len(SMALL), True)
    action, verify = told["actions"]["upload"], told["actions"]["verify"]
    assert action["href"].startswith(sandbox.cdn_url) and action["header"] == {}
    assert verify["href"] == f"{sandbox.url}/alice/demo.git/info/lfs/objects/verify"
    assert base64.b64decode(verify["header"]["Authorization"].removeprefix("Basic ")) == f"alice:{ALICE}".encode()
    early = await call("POST", verify["href"], ALICE, json={"oid": oid(SMALL), "size": len(SMALL)})
    assert early.status == 404 and early.json["message"] == "Object not found"
    put = await call("PUT", action["href"], data=SMALL)
    assert put.status == 200 and put.headers["ETag"].startswith('"')
    right = await call("POST", verify["href"], json={"oid": oid(SMALL), "size": len(SMALL)}, headers=verify["header"])
    assert right.status == 200
    wrong = await call("POST", verify["href"], ALICE, json={"oid": oid(SMALL), "size": 1})
    assert wrong.status == 422
    assert sandbox.hub.objects.path(oid(SMALL)).read_bytes() == SMALL
    assert not any("Authorization" in asked.headers for asked in sandbox.asked if asked.origin == "cdn")


async def test_an_object_that_is_there_needs_nothing(batch, upload):
    await upload(SMALL)
    assert (await batch(SMALL)).json["objects"] == [{"oid": oid(SMALL), "size": len(SMALL)}]


async def test_an_object_of_another_repository_is_not_there(call, batch, upload):
    """Or naming a hash would be enough to read what it names."""
    await upload(SMALL)
    await call("POST", "/api/repos/create", BOB, json={"name": "other"})
    body = {"operation": "upload", "objects": [{"oid": oid(SMALL), "size": len(SMALL)}]}
    [told] = (await call("POST", "/bob/other.git/info/lfs/objects/batch", BOB, json=body)).json["objects"]
    assert "upload" in told["actions"]
    body["operation"] = "download"
    [told] = (await call("POST", "/bob/other.git/info/lfs/objects/batch", BOB, json=body)).json["objects"]
    assert told["error"] == {"code": 404, "message": "Object does not exist"}


async def test_a_large_object_comes_in_parts_at_the_same_time_and_is_joined_without_a_token(call, batch, sandbox):
    answer = await batch(LARGE)
    assert answer.json["transfer"] == "multipart"
    action = answer.json["objects"][0]["actions"]["upload"]
    header = dict(action["header"])
    assert header.pop("chunk_size") == str(PART) and sorted(header) == ["00001", "00002", "00003"]
    assert action["href"].startswith(f"{sandbox.url}/api/complete_multipart?")

    async def put(number: int) -> dict[str, Any]:
        part = LARGE[(number - 1) * PART : number * PART]
        return {"partNumber": number, "etag": (await call("PUT", header[f"{number:05}"], data=part)).headers["ETag"]}

    parts = await asyncio.gather(*map(put, (3, 1, 2)))
    for wrong in (parts[:2], [*parts[1:], {"partNumber": 3, "etag": "x"}], [{"partNumber": 1}], None):
        refused = await call("POST", action["href"], json={"oid": oid(LARGE), "parts": wrong})
        assert refused.status in {400, 422} and refused.json["message"]
    done = await call("POST", action["href"], json={"oid": oid(LARGE), "parts": parts})
    assert done.status == 200
    assert sandbox.hub.objects.path(oid(LARGE)).read_bytes() == LARGE
    again = await call("POST", action["href"], json={"oid": oid(LARGE), "parts": parts})
    assert again.status == 404
    assert (await call("POST", action["href"] + "0", json={})).status == 403


async def test_the_largest_decides_for_its_batch_and_the_client_must_know_how(batch, upload):
    """git-lfs hands all of a batch to one agent, and the Hub's for parts cannot send an object without them."""
    contents = [SMALL, LARGE]
    mixed = (await batch(*contents)).json
    assert mixed["transfer"] == "multipart"
    told = [each["actions"]["upload"]["header"] for each in mixed["objects"]]
    assert [(header["chunk_size"], len(header) - 1) for header in told] == [(str(PART), 1), (str(PART), 3)]
    for transfers in (["basic"], None):
        plain = (await batch(*contents, transfers=transfers)).json
        assert plain["transfer"] == "basic"
        assert all(each["actions"]["upload"]["header"] == {} for each in plain["objects"])
    await upload(LARGE)
    assert (await batch(*contents)).json["transfer"] == "basic"


async def test_what_is_too_large_for_one_piece_is_not_taken_in_one(call, batch):
    refused = await batch(SMALL, objects=[{"oid": oid(SMALL), "size": 5_000_000_001}], transfers=["basic"])
    assert refused.status == 400 and "lfs-enable-largefiles" in refused.json["message"]
    fits = await batch(SMALL, objects=[{"oid": oid(SMALL), "size": 5_000_000_000}], transfers=["basic"])
    assert fits.json["transfer"] == "basic"


async def test_a_repository_may_want_parts_sooner(call, batch, repo):
    for wrong in (0, -1, "many", 1.5, True):
        body = {"name": "wrong", "lfsmultipartthresh": wrong}
        assert (await call("POST", "/api/repos/create", ALICE, json=body)).status == 400
    await call("DELETE", "/api/repos/delete", ALICE, json={"name": "demo"})
    await call("POST", "/api/repos/create", ALICE, json={"name": "demo", "lfsmultipartthresh": len(SMALL)})
    assert (await batch(SMALL, transfers=["basic"])).json["transfer"] == "basic"
    longer = SMALL + b"!"
    assert (await batch(longer, transfers=["basic"])).status == 400
    assert (await batch(longer)).json["transfer"] == "multipart"


async def test_wrong_bytes_are_taken_and_not_found_by_verify(call, batch):
    [told] = (await batch(SMALL)).json["objects"]
    assert (await call("PUT", told["actions"]["upload"]["href"], data=b"x" * len(SMALL))).status == 200
    verified = await call(
        "POST", told["actions"]["verify"]["href"], ALICE, json={"oid": oid(SMALL), "size": len(SMALL)}
    )
    assert verified.status == 404
    assert "actions" in (await batch(SMALL)).json["objects"][0]


@pytest.mark.parametrize("sent", [SMALL + b"x", SMALL[:-1], b""])
async def test_more_or_less_than_announced_is_refused(call, batch, sent):
    [told] = (await batch(SMALL)).json["objects"]
    assert (await call("PUT", told["actions"]["upload"]["href"], data=sent)).status == 400
    assert (await call("PUT", told["actions"]["upload"]["href"], data=SMALL)).status == 200


async def test_an_upload_that_breaks_off_can_begin_again(call, batch, sandbox):
    [told] = (await batch(SMALL)).json["objects"]
    href = told["actions"]["upload"]["href"]
    sent = asyncio.Event()

    async def half():
        yield SMALL[:4]
        sent.set()
        await asyncio.Event().wait()

    broken = asyncio.ensure_future(call("PUT", href, data=half(), headers={"Content-Length": str(len(SMALL))}))
    await sent.wait()
    broken.cancel()
    with pytest.raises(asyncio.CancelledError):
        await broken
    assert (await call("PUT", href, data=SMALL)).status == 200
    assert sandbox.hub.objects.path(oid(SMALL)).read_bytes() == SMALL


async def test_downloads_are_signed_for_whoever_may_read(call, batch, upload):
    await upload(SMALL)
    [told] = (await batch(SMALL, operation="download", token=None)).json["objects"]
    got = await call("GET", told["actions"]["download"]["href"])
    assert got.body == SMALL and told["actions"]["download"]["expires_in"] == 3600
    await call("PUT", "/api/models/alice/demo/settings", ALICE, json={"visibility": "private"})
    anonymous = await batch(SMALL, operation="download", token=None)
    assert anonymous.status == 401 and anonymous.headers["LFS-Authenticate"].startswith("Basic ")
    assert anonymous.headers["WWW-Authenticate"].startswith("Basic ")
    assert (await batch(SMALL, operation="download", token=BOB)).status == 404


async def test_uploads_need_somebody_who_may(batch):
    assert (await batch(SMALL, token=None)).status == 401
    assert (await batch(SMALL, token=BOB)).status == 403
    assert (await batch(SMALL, token=ALICE_READ)).status == 403
    assert (await batch(SMALL, token=BOB, ref={"name": "refs/pr/1"})).status == 200
    assert (await batch(SMALL, token=ALICE_READ, ref={"name": "refs/pr/1"})).status == 403


async def test_each_object_has_its_own_error(batch, call):
    strange = [{"oid": "x", "size": 1}, {"oid": "0" * 64, "size": -1}, {"oid": "0" * 64, "size": True}, "x", {}]
    told = (await batch(SMALL, objects=[*strange, {"oid": oid(SMALL), "size": 12}])).json["objects"]
    assert [each.get("error", {}).get("code") for each in told] == [422] * 5 + [None]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"operation": "steal"}, 422),
        ({"objects": None}, 422),
        ({"objects": [{}] * 1001}, 413),
        ({"hash_algo": "md5"}, 409),
        ({"hash_algo": "sha_256"}, 200),
    ],
)
async def test_a_batch_that_makes_no_sense_is_refused_in_git_lfss_form(batch, change, status):
    answer = await batch(SMALL, **change)
    assert answer.status == status
    assert status == 200 or (
        answer.json["message"] and answer.headers["Content-Type"].startswith("application/vnd.git-lfs")
    )


async def test_the_address_with_and_without_git_and_of_a_dataset(call, sandbox):
    await call("POST", "/api/repos/create", ALICE, json={"name": "data", "type": "dataset"})
    body = {"operation": "upload", "objects": [{"oid": oid(SMALL), "size": len(SMALL)}]}
    for prefix in ("/datasets/alice/data.git", "/datasets/alice/data"):
        answer = await call("POST", f"{prefix}/info/lfs/objects/batch", ALICE, json=body)
        [told] = answer.json["objects"]
        assert told["actions"]["verify"]["href"] == f"{sandbox.url}/datasets/alice/data.git/info/lfs/objects/verify"


async def test_an_object_of_many_megabytes_never_sits_in_memory(call, batch, sandbox):
    """The process may grow by less than a quarter of what passes through it."""
    import resource

    size_bytes = 256 * 1024 * 1024
    digest, block = hashlib.sha256(), bytes(1024 * 1024)
    for _ in range(size_bytes // len(block)):
        digest.update(block)

    async def blocks():
        for _ in range(size_bytes // len(block)):
            yield block

    objects = [{"oid": digest.hexdigest(), "size": size_bytes}]
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [told] = (await batch(objects=objects, transfers=["basic"])).json["objects"]
    put = await call(
        "PUT", told["actions"]["upload"]["href"], data=blocks(), headers={"Content-Length": str(size_bytes)}
    )
    assert put.status == 200 and sandbox.hub.objects.size_bytes(digest.hexdigest()) == size_bytes
    [told] = (await batch(objects=objects, operation="download")).json["objects"]
    read = 0
    async with aiohttp.ClientSession() as session, session.get(told["actions"]["download"]["href"]) as answer:
        async for chunk in answer.content.iter_any():
            read += len(chunk)
    assert read == size_bytes
    grown_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) * 1024
    assert grown_bytes < size_bytes // 4


async def test_locks_are_held_by_one_until_given_back(call, repo):
    locks = f"{repo}.git/info/lfs/locks"
    held = await call("POST", locks, ALICE, json={"path": "a.bin"})
    assert held.status == 201 and held.json["lock"]["owner"] == {"name": "alice"}
    taken = await call("POST", locks, ALICE, json={"path": "a.bin"})
    assert taken.status == 409 and taken.json["lock"] == held.json["lock"]
    assert (await call("GET", f"{locks}?path=a.bin")).json == {"locks": [held.json["lock"]]}
    assert (await call("GET", f"{locks}?path=b.bin")).json == {"locks": []}
    verified = await call("POST", f"{locks}/verify", ALICE, json={})
    assert verified.json == {"ours": [held.json["lock"]], "theirs": []}
    assert (await call("POST", f"{locks}/verify", BOB, json={})).status == 403
    unlock = f"{locks}/{held.json['lock']['id']}/unlock"
    assert (await call("POST", unlock, ALICE, json={})).status == 200
    assert (await call("POST", unlock, ALICE, json={})).status == 404
    assert (await call("POST", locks, ALICE, json={})).status == 422
