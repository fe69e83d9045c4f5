"""The Xet store: who may read and write what, and what it refuses."""

import asyncio
import json
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest

from hfproxy.sandbox.cas.gear import chunk_sizes
from hfproxy.sandbox.cas.tokens import BadToken, Grant, Tokens
from hfproxy.sandbox.cas.xorbs import pack
from hfproxy.sandbox.pointers import Pointer
from hfproxy.sandbox.server import SandboxConfig, running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from hfproxy.upstream.xet_hashes import chunk_hash, spelled, unspelled, xorb_hash
from tests.support.waiting import eventually

from .conftest import ALICE, ALICE_READ, BOB

WEIGHTS = Random(1).randbytes(300_000)
OTHER = Random(2).randbytes(200_000)


@pytest.fixture
def config() -> SandboxConfig:
    return SandboxConfig(signed_urls_last_s=1000)


@pytest.fixture
def repos(sandbox):
    """A public repository with weights, and a private one with others."""
    hub = sandbox.hub
    for name, visibility, content in (("open", "public", WEIGHTS), ("closed", "private", OTHER)):
        repo = hub.create_repo(RepoRef(RepoType.MODEL, "alice", name), by="alice", visibility=visibility)
        oid = hub.objects.put(content)
        hub.lfs_received(repo, oid, len(content), by="alice")
        hub.commit(repo, {"w.bin": bytes(Pointer(oid, len(content)))}, "weights", by="alice")
    return hub


async def token_of(call, repo, *, to="read", token=ALICE, revision="main"):
    answer = await call("GET", f"/api/models/{repo}/xet-{to}-token/{revision}", token)
    assert answer.status == 200
    assert answer.headers["X-Xet-Access-Token"] == answer.json["accessToken"]
    assert answer.headers["X-Xet-Cas-Url"] == answer.json["casUrl"]
    assert answer.headers["X-Xet-Token-Expiration"] == str(answer.json["exp"])
    return answer.json["accessToken"]


async def hash_of(call, repo, token=ALICE):
    [file] = [each for each in (await call("GET", f"/api/models/{repo}/tree/main", token)).json if "lfs" in each]
    return file["xetHash"]


@pytest.fixture
def cas(sandbox, call):
    return lambda method, path, token=None, **more: call(method, sandbox.cas_url + path, token, **more)


async def test_a_token_opens_the_files_of_its_repository_alone(repos, call, cas):
    opened, closed = await hash_of(call, "alice/open"), await hash_of(call, "alice/closed")
    everyone = await token_of(call, "alice/open", token=None)
    owner = await token_of(call, "alice/closed")
    writer = await token_of(call, "alice/open", to="write")
    for token, file, expected in (
        (everyone, opened, 200),
        (everyone, closed, 404),
        (owner, closed, 200),
        (owner, opened, 404),
        (writer, opened, 200),
        (writer, closed, 404),
        (None, opened, 401),
        (ALICE, opened, 401),
        (everyone[:-4] + "AAAA", opened, 401),
    ):
        for path in (f"/v1/reconstructions/{file}", f"/v2/reconstructions/{file}"):
            assert (await cas("GET", path, token)).status == expected
        assert (await cas("HEAD", f"/v1/files/{file}", token)).status == expected


async def test_a_read_token_opens_the_files_of_its_revision(repos, call, cas):
    repo = repos.find(RepoType.MODEL, "alice/open")
    before = repo.commit_hash()
    oid = repos.objects.put(OTHER)
    repos.lfs_received(repo, oid, len(OTHER), by="alice")
    repos.commit(repo, {"w.bin": bytes(Pointer(oid, len(OTHER)))}, "other weights", by="alice")
    newer = await hash_of(call, "alice/open")
    for revision, expected in (("main", 200), (before, 404)):
        token = await token_of(call, "alice/open", revision=revision)
        assert (await cas("GET", f"/v1/reconstructions/{newer}", token)).status == expected
    write = await token_of(call, "alice/open", to="write")
    assert (await cas("GET", f"/v1/reconstructions/{newer}", write)).status == 200


@pytest.mark.parametrize(
    ("path", "token", "expected"),
    [
        ("open/xet-read-token/main", None, 200),
        ("open/xet-read-token/nowhere", None, 404),
        ("closed/xet-read-token/main", None, 401),
        ("closed/xet-read-token/main", BOB, 404),
        ("open/xet-write-token/main", None, 401),
        ("open/xet-write-token/main", BOB, 403),
        ("open/xet-write-token/main", ALICE_READ, 403),
        ("open/xet-write-token/main", ALICE, 200),
        ("open/xet-write-token/nowhere", ALICE, 404),
        ("open/xet-write-token/None?create_pr=1", BOB, 200),
        ("open/xet-write-token/None?create_pr=1", ALICE_READ, 403),
        ("open/xet-write-token/None?create_pr=1", None, 401),
        ("open/xet-write-token/None", ALICE, 404),
    ],
)
async def test_who_gets_a_token(repos, call, path, token, expected):
    assert (await call("GET", f"/api/models/alice/{path}", token)).status == expected


async def test_only_a_token_to_write_uploads(repos, call, cas):
    chunk = b"c" * 9000
    name = spelled(chunk_hash(chunk))
    read, write = await token_of(call, "alice/open"), await token_of(call, "alice/open", to="write")
    for path in (
        f"/v1/xorbs/default/{name}",
        f"/v1/xorb-grants/default/{name}",
        f"/v1/xorb-commits/default/{name}/grant/x",
        "/v1/shards",
        "/v2/shards",
    ):
        assert (await cas("POST", path, read, data=b"{}")).status == 403
    for expected in (True, False):
        answer = await cas("POST", f"/v1/xorbs/default/{name}", write, data=pack(chunk))
        assert (answer.status, answer.json) == (200, {"was_inserted": expected})


async def test_bytes_come_in_the_signed_ranges_and_in_no_others(repos, call, cas, http):
    token, file = await token_of(call, "alice/open"), await hash_of(call, "alice/open")
    told = (await cas("GET", f"/v2/reconstructions/{file}", token, headers={"Range": "bytes=100000-200000"})).json
    [[fetch]] = told["xorbs"].values()
    [signed] = parse_qs(urlsplit(fetch["url"]).query)["X-Xet-Signed-Range"]
    span = fetch["ranges"][0]["bytes"]
    assert signed == f"bytes={span['start']}-{span['end']}"
    for asked, expected in (
        (signed, 206),
        (None, 403),
        (f"bytes={span['start']}-{span['end'] - 1}", 403),
        (f"bytes={span['start']}-", 403),
        ("bytes=0-0", 403),
        ("bytes=99999999999999999999-99999999999999999999", 403),
        ("nonsense", 403),
    ):
        answer = await call("GET", fetch["url"], headers={"Range": asked} if asked else {})
        assert answer.status == expected
        if expected == 206:
            assert len(answer.body) == span["end"] - span["start"] + 1
    assert (await call("GET", fetch["url"], token, headers={"Range": signed})).status == 400
    assert (await call("GET", fetch["url"].replace("bytes%3D", "bytes%3D1"), headers={"Range": signed})).status == 403


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("bytes=0-10", 200), ("bytes=299999-400000", 200), ("bytes=300000-300001", 416), ("bytes=5-4", 416), ("x=1", 400)],
)
async def test_a_part_of_a_file_is_told_of(repos, call, cas, asked, expected):
    token, file = await token_of(call, "alice/open"), await hash_of(call, "alice/open")
    for version in ("v1", "v2"):
        answer = await cas("GET", f"/{version}/reconstructions/{file}", token, headers={"Range": asked})
        assert answer.status == expected


async def test_grants_are_kept_to(repos, call, cas, sandbox):
    chunk = Random(3).randbytes(9000)
    name, packed = spelled(chunk_hash(chunk)), pack(chunk)
    token, other = [await token_of(call, f"alice/{repo}", to="write") for repo in ("open", "closed")]

    async def granted(length):
        asked = {"length": length, "checksum": {"algo": "crc64nvme", "value": "1"}}
        return await cas("POST", f"/v1/xorb-grants/default/{name}", token, json=asked)

    def commit(grant, token=token):
        return cas("POST", f"/v1/xorb-commits/default/{name}/grant/{grant['id']}", token)

    assert (await granted(0)).status == (await granted(10**9)).status == (await granted("9")).status == 400
    grant = (await granted(len(packed))).json
    assert (await commit(grant)).status == 404  # nothing came yet
    assert (await call(grant["method"], grant["url"], data=packed + b"x")).status == 400
    assert (await call(grant["method"], grant["url"], data=packed)).status == 200
    assert (await call(grant["method"], grant["url"], data=packed)).status == 412
    assert (await commit(grant, other)).status == 404
    assert (await commit(grant)).status == 200
    assert (await granted(len(packed))).status == 200  # it is there now
    assert sandbox.hub.cas.store.xorb(chunk_hash(chunk))
    assert not list(sandbox.hub.cas.store.incoming().parent.iterdir())


async def test_wrong_bytes_under_a_right_name_are_refused(repos, call, cas):
    chunk = Random(4).randbytes(9000)
    name, wrong = spelled(chunk_hash(chunk)), pack(chunk[:-1] + b"x")
    token = await token_of(call, "alice/open", to="write")
    assert (await cas("POST", f"/v1/xorbs/default/{name}", token, data=wrong)).status == 400
    grant = (await cas("POST", f"/v1/xorb-grants/default/{name}", token, json={"length": len(wrong)})).json
    await call(grant["method"], grant["url"], data=wrong)
    commit = f"/v1/xorb-commits/default/{name}/grant/{grant['id']}"
    assert (await cas("POST", commit, token)).status == 400
    assert (await cas("HEAD", f"/v1/xorbs/default/{name}", token)).status == 404


async def test_a_shard_that_is_none_is_refused_by_status_or_by_the_last_line(repos, call, cas):
    token = await token_of(call, "alice/open", to="write")
    assert (await cas("POST", "/v1/shards", token, data=b"nonsense")).status == 400
    answer = await cas("POST", "/v2/shards", token, data=b"nonsense")
    assert answer.status == 200
    last = json.loads(answer.body.splitlines()[-1])
    assert last == {"type": "error", "message": "not a shard of version 2", "retryable": False}


async def test_who_has_a_chunk_finds_it_and_who_has_not_learns_nothing(repos, call, cas):
    token = await token_of(call, "alice/open", token=None)
    await hash_of(call, "alice/closed")
    xorb = next(iter(repos.cas.store.told_of(chunk_hash(_first_chunk(OTHER)))))
    answer = await cas("GET", f"/v1/chunks/default/{spelled(xorb.chunks[0].hash)}", token)
    assert answer.status == 200 and xorb.hash in answer.body
    assert not [chunk for chunk in xorb.chunks if chunk.hash in answer.body]
    assert (await cas("GET", f"/v1/chunks/default/{'0' * 64}", token)).status == 404


async def test_of_an_upload_that_ends_early_nothing_stays(repos, call, sandbox, caplog):
    token = await token_of(call, "alice/open", to="write")
    folder = sandbox.hub.cas.store.incoming().parent
    _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(sandbox.cas_url).port)
    head = f"POST /v1/xorbs/default/{'0' * 64} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    writer.write(f"{head}Content-Length: 1000000\r\n\r\nsome of it".encode())
    await eventually(lambda: list(folder.iterdir()), what="the upload's beginning")
    writer.transport.abort()
    await eventually(lambda: not list(folder.iterdir()), what="its end")
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


NONSENSE = [b"", b"[]", b"\xff", b'{"length":1e400}', b'{"length":true}', b'{"length":-1}', b"[" * 100_000, bytes(200)]


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_nonsense_is_the_callers_mistake(repos, call, cas, nonsense):
    token = await token_of(call, "alice/open", to="write")
    name = "0" * 64
    for path in (f"/v1/xorb-grants/default/{name}", f"/v1/xorbs/default/{name}", "/v1/shards"):
        assert (await cas("POST", path, token, data=nonsense)).status in {400, 413}


async def test_grants_that_nobody_used_are_forgotten(repos, call, cas, sandbox):
    token = await token_of(call, "alice/open", to="write")
    chunk = Random(6).randbytes(9000)
    ask = f"/v1/xorb-grants/default/{spelled(chunk_hash(chunk))}"
    grant = (await cas("POST", ask, token, json={"length": len(pack(chunk))})).json
    await call(grant["method"], grant["url"], data=pack(chunk))
    announced = sandbox.hub.cas.announced(grant["id"])
    assert announced.path.exists()
    announced.until_s = 0
    await cas("POST", ask, token, json={"length": len(pack(chunk))})
    assert sandbox.hub.cas.announced(grant["id"]) is None and not announced.path.exists()


@pytest.mark.parametrize("path", ["/", "/v1", "/v3/shards", "/v1/chunks/other/" + "0" * 64, "/v1/reconstructions/xyz"])
async def test_what_the_store_does_not_know(repos, call, cas, path):
    token = await token_of(call, "alice/open")
    assert (await cas("GET", path, token)).status in {400, 404}


async def test_a_tampered_or_expired_token_is_none():
    now_s = 1000.0
    tokens = Tokens(b"key", lambda: now_s)
    grant = Grant("oid", "main", "read", "alice", 1010)
    header = f"Bearer {tokens.write(grant)}"
    assert tokens.read(header) == grant
    for wrong in (
        None,
        "",
        "Bearer",
        "Bearer xet_",
        "Bearer xet_AAAA",
        "Basic " + header[7:],
        header[:-2],
        header + "A",
    ):
        with pytest.raises(BadToken):
            tokens.read(wrong)
    with pytest.raises(BadToken):
        Tokens(b"other key", lambda: now_s).read(header)
    now_s = 1010.0
    with pytest.raises(BadToken, match="expired"):
        tokens.read(header)


async def test_a_batch_offers_an_upload_by_xet_to_those_who_can(repos, call, sandbox):
    body = {
        "operation": "upload",
        "transfers": ["basic", "multipart", "xet"],
        "objects": [{"oid": "a" * 64, "size": 5}],
        "ref": {"name": "refs/heads/main"},
    }
    told = (await call("POST", "/alice/open.git/info/lfs/objects/batch", ALICE, json=body)).body
    answer = json.loads(told)
    upload = answer["objects"][0]["actions"]["upload"]
    assert answer["transfer"] == "xet"
    assert upload["href"] == sandbox.url + "/api/models/alice/open/xet-write-token/main"
    assert upload["header"].keys() == {
        *("X-Xet-Cas-Url", "X-Xet-Access-Token", "X-Xet-Token-Expiration", "X-Xet-Session-Id"),
    }
    assert (await call("GET", upload["href"], ALICE)).status == 200


async def test_what_is_there_by_xet_is_gone_with_its_repository(repos, call, cas):
    token, file = await token_of(call, "alice/open"), await hash_of(call, "alice/open")
    assert repos.cas.store.file(unspelled(file))
    await call("DELETE", "/api/repos/delete", ALICE, json={"name": "open"})
    assert (await cas("GET", f"/v1/reconstructions/{file}", token)).status == 404
    assert repos.cas.store.file(unspelled(file)) is None


async def test_what_went_through_is_counted(repos, call, cas):
    token, file = await token_of(call, "alice/open"), await hash_of(call, "alice/open")
    told = (await cas("GET", f"/v1/reconstructions/{file}", token)).json
    [[fetch]] = told["fetch_info"].values()
    span = fetch["url_range"]
    await call("GET", fetch["url"], headers={"Range": f"bytes={span['start']}-{span['end']}"})
    counted = (await call("GET", "/-/xet")).json
    assert counted["requests"] == {"reconstruction": 1, "xorb": 1}
    assert counted["bytes_out"] == span["end"] + 1 == counted["stored_bytes"]
    location = (await call("GET", "/alice/open/resolve/main/w.bin")).headers["Location"]
    await call("GET", location, headers={"Range": "bytes=0-99"})
    await call("HEAD", location)
    counted = (await call("GET", "/-/xet")).json
    assert (counted["requests"]["plain"], counted["plain_bytes_out"]) == (2, 100)
    assert (await call("DELETE", "/-/xet")).json["bytes_out"] == 0


async def test_without_xet_nothing_is_offered(http):
    async with running_sandbox(SandboxConfig(xet=False, seed="demo")) as sandbox:
        weights = "/alice/tiny-sentence-encoder/resolve/main/model.safetensors"
        async with http.head(sandbox.url + weights, allow_redirects=False) as answer:
            assert answer.status == 302 and not {"X-Xet-Hash", "Link"} & answer.headers.keys()
        async with http.get(sandbox.url + "/api/models/alice/tiny-sentence-encoder/tree/main") as answer:
            assert not [file for file in await answer.json() if "xetHash" in file]
        async with http.get(sandbox.url + "/api/models/alice/tiny-sentence-encoder/xet-read-token/main") as answer:
            assert answer.status == 404
        assert sandbox.hub.cas.store.xorb_count == 0


async def test_what_is_kept_in_a_folder_is_there_again(tmp_path, http):
    chunk = Random(5).randbytes(9000)
    async with running_sandbox(SandboxConfig(data=tmp_path)) as sandbox:
        path = sandbox.hub.cas.store.incoming()
        path.write_bytes(pack(chunk))
        sandbox.hub.cas.store.keep_xorb(path, xorb_hash([(chunk_hash(chunk), 9000)]))
    async with running_sandbox(SandboxConfig(data=tmp_path)) as sandbox:
        assert sandbox.hub.cas.store.chunk(chunk_hash(chunk))


def _first_chunk(content: bytes) -> bytes:
    return content[: next(chunk_sizes(content))]
