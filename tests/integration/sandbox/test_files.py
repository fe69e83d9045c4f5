"""`resolve`, `resolve-cache`, `raw` and the CDN, form by form as the contract has them (section 4.2)."""

import gzip
import hashlib
from email import message_from_bytes
from urllib.parse import quote

import aiohttp
import pytest

from hfproxy.sandbox.cdn import download_url
from hfproxy.sandbox.server import SandboxConfig, running_sandbox

from .conftest import ALICE, BOB

ENCODER = "/alice/tiny-sentence-encoder"
WEIGHTS = f"{ENCODER}/resolve/main/model.safetensors"
CARD = f"{ENCODER}/resolve/main/README.md"
VOICE = "/bob/voice-cloner-research"
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture(scope="module")
def config() -> SandboxConfig:
    return SandboxConfig(seed="demo")


@pytest.fixture
def commit_hash(sandbox) -> str:
    return sandbox.hub.repos.find("model", "alice/tiny-sentence-encoder").head


async def test_a_regular_public_file_is_redirected_to_its_address_by_commit(call, commit_hash):
    for method in ("HEAD", "GET"):
        there = await call(method, CARD)
        assert there.status == 307 and there.headers["X-Repo-Commit"] == commit_hash
        assert there.headers["Location"].startswith(
            f"/api/resolve-cache/models{ENCODER}/{commit_hash}/README.md?%2Falice%2Ftiny-sentence-encoder%2Fresolve"
        )
        assert int(there.headers["Content-Length"]) == len(
            f"Temporary Redirect. Redirecting to {there.headers['Location']}"
        )
        assert "ETag" not in there.headers and "X-Linked-Size" not in there.headers
        assert there.headers["Vary"] == "Origin, Accept" and there.headers["RateLimit"].startswith('"resolvers"')
        here = await call(method, there.headers["Location"], headers=PLAIN)
        assert here.status == 200 and here.headers["X-Repo-Commit"] == commit_hash
        assert here.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert here.headers["Content-Disposition"] == "inline; filename*=UTF-8''README.md; filename=\"README.md\";"
    git_oid = hashlib.sha1(b"blob %d\0" % len(here.body) + here.body).hexdigest()
    assert here.headers["ETag"] == f'"{git_oid}"' and int(here.headers["Content-Length"]) == len(here.body)


async def test_text_comes_zipped_and_chunked_to_those_who_take_it(call, sandbox):
    location = (await call("GET", CARD)).headers["Location"]
    plain = await call("GET", location, headers=PLAIN)
    async with aiohttp.ClientSession(auto_decompress=False) as raw, raw.get(sandbox.url + location) as zipped:
        assert zipped.headers["Content-Encoding"] == "gzip" and zipped.headers["Transfer-Encoding"] == "chunked"
        assert "Content-Length" not in zipped.headers and zipped.headers["ETag"] == f"W/{plain.headers['ETag']}"
        assert gzip.decompress(await zipped.read()) == plain.body
    part = await call("GET", location, headers={"Accept-Encoding": "gzip", "Range": "bytes=4-10"})
    assert part.status == 206 and "Content-Encoding" not in part.headers and part.body == plain.body[4:11]


async def test_a_large_file_is_redirected_to_the_cdn_under_two_names(call, sandbox, commit_hash):
    for method in ("HEAD", "GET"):
        there = await call(method, WEIGHTS)
        assert there.status == 302 and there.headers["X-Repo-Commit"] == commit_hash
        assert there.headers["Location"].startswith(sandbox.cdn_url) and "localhost" in sandbox.cdn_url
        assert "127.0.0.1" in sandbox.url and there.headers["Cache-Control"] == "no-store"
    here = await call("GET", there.headers["Location"])
    assert here.status == 200 and here.headers["Content-Type"] == "application/octet-stream"
    assert there.headers["X-Linked-ETag"] == f'"{hashlib.sha256(here.body).hexdigest()}"'
    assert int(there.headers["X-Linked-Size"]) == len(here.body) == int(here.headers["Content-Length"])
    assert here.headers["ETag"] != there.headers["X-Linked-ETag"] and "X-Repo-Commit" not in here.headers
    head = await call("HEAD", there.headers["Location"])
    assert (
        head.headers["Content-Length"] == here.headers["Content-Length"]
        and head.headers["ETag"] == here.headers["ETag"]
    )


async def test_the_cdn_refuses_credentials_changed_addresses_and_old_ones(call, sandbox):
    location = (await call("GET", WEIGHTS)).headers["Location"]
    assert (await call("GET", location, token=ALICE)).status == 400
    for changed in (location + "0", location.replace("octet", "opaque"), location.partition("?")[0]):
        refused = await call("GET", changed)
        assert refused.status == 403 and b"SignatureDoesNotMatch" in refused.body
    assert (await call("PUT", location, data=b"x")).status == 403
    assert [asked.status for asked in sandbox.asked if asked.origin == "cdn"] == [400, 403, 403, 403, 403]


async def test_signed_addresses_expire(http):
    async with (
        running_sandbox(SandboxConfig(seed="demo", signed_urls_last_s=0)) as sandbox,
        http.get(sandbox.url + WEIGHTS) as answer,
    ):
        assert answer.status == 403 and "expired" in await answer.text()


async def test_what_the_client_has_is_not_sent_again(call):
    for path in (CARD, WEIGHTS):
        there = await call("GET", path)
        etag = there.headers.get("X-Linked-ETag") or (await call("GET", there.headers["Location"])).headers["ETag"]
        again = await call("GET", path, headers={"If-None-Match": f'"other", {etag}'})
        assert again.status == 304 and not again.body and again.headers["X-Repo-Commit"]
        there_again = await call("GET", there.headers["Location"], headers={"If-None-Match": "*"})
        assert there_again.status == 304
    raw = await call("GET", CARD.replace("resolve", "raw"), headers={"If-None-Match": "*"})
    assert raw.status == 200


async def test_ranges_are_of_the_unpacked_content_and_tell_its_size(call):
    location = (await call("GET", WEIGHTS)).headers["Location"]
    whole = (await call("GET", location)).body
    part = await call("GET", location, headers={"Range": "bytes=100-199"})
    assert part.status == 206 and part.body == whole[100:200]
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole)}" and part.headers["Content-Length"] == "100"
    beyond = await call("GET", location, headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status == 416 and beyond.headers["Content-Range"] == f"bytes */{len(whole)}"
    fresh = await call("GET", location, headers={"Range": "bytes=0-9", "If-Range": part.headers["ETag"]})
    assert fresh.status == 206
    for condition in ('"other"', f"W/{part.headers['ETag']}", "Sat, 21 Nov 2026 09:00:00 GMT"):
        stale = await call("GET", location, headers={"Range": "bytes=0-9", "If-Range": condition})
        assert stale.status == 200 and stale.body == whole
    assert (await call("HEAD", location, headers={"Range": "bytes=0-9"})).status == 200


async def test_the_cdn_sends_several_ranges_and_the_hub_the_whole(call):
    location = (await call("GET", WEIGHTS)).headers["Location"]
    whole = (await call("GET", location)).body
    several = await call("GET", location, headers={"Range": "bytes=0-7,100-199,-5"})
    assert several.status == 206 and int(several.headers["Content-Length"]) == len(several.body)
    parsed = message_from_bytes(f"Content-Type: {several.headers['Content-Type']}\n\n".encode() + several.body)
    assert [part["Content-Range"] for part in parsed.get_payload()] == [
        f"bytes {start}-{stop - 1}/{len(whole)}" for start, stop in ((0, 8), (100, 200), (len(whole) - 5, len(whole)))
    ]
    assert whole[:8] in several.body and whole[100:200] in several.body and several.body.count(b"\r\n--") == 4
    card = (await call("GET", CARD)).headers["Location"]
    assert (await call("GET", card, headers={"Range": "bytes=0-7,100-199", **PLAIN})).status == 200


async def test_a_private_file_is_answered_directly_and_only_to_its_people(call):
    card = "/alice/private-diary-classifier/resolve/main/README.md"
    answer = await call("GET", card, token=ALICE, headers=PLAIN)
    assert answer.status == 200 and answer.headers["ETag"].startswith('"') and answer.headers["X-Repo-Commit"]
    anonymous = await call("GET", card)
    assert (anonymous.status, anonymous.body) == (401, b"Invalid username or password.")
    stranger = await call("GET", card, token=BOB)
    assert (stranger.status, stranger.headers["X-Error-Code"]) == (404, "RepoNotFound")


async def test_a_gate_leaves_card_and_licence_open_on_resolve_alone(call):
    for path in ("README.md", "LICENSE"):
        assert (await call("GET", f"{VOICE}/resolve/main/{path}")).status == 200
        assert (await call("GET", f"{VOICE}/raw/main/{path}")).status == 401
    for path in ("config.json", "readme.md", "no-such-file"):
        closed = await call("GET", f"{VOICE}/resolve/main/{path}")
        assert (closed.status, closed.headers["X-Error-Code"]) == (401, "GatedRepo")
        ungranted = await call("GET", f"{VOICE}/resolve/main/{path}", token=ALICE)
        assert (ungranted.status, ungranted.headers["X-Error-Code"]) == (403, "GatedRepo")
    assert (await call("GET", f"{VOICE}/resolve/main/model.safetensors", token=BOB)).status == 302
    granted = await call("GET", "/acme/parrot-chat-mini/resolve/main/config.json", token=BOB)
    assert granted.status == 200


async def test_what_is_missing_is_said_in_the_hubs_order_and_words(call, commit_hash):
    missing = await call("GET", f"{ENCODER}/resolve/main/nothing.txt")
    assert (missing.status, missing.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert missing.headers["X-Repo-Commit"] == commit_hash and missing.body == b"Entry not found"
    folder = await call("HEAD", f"{ENCODER}/resolve/main/onnx")
    assert (folder.status, folder.headers["X-Error-Code"]) == (404, "EntryNotFound")
    revision = await call("GET", f"{ENCODER}/resolve/nowhere/README.md")
    assert (revision.status, revision.headers["X-Error-Code"]) == (404, "RevisionNotFound")
    assert "X-Repo-Commit" not in revision.headers and revision.body.startswith(b"Invalid rev id")


async def test_branches_tags_and_short_commits_name_their_own_content(call, commit_hash):
    sizes = {
        revision: int((await call("HEAD", f"{ENCODER}/resolve/{revision}/model.safetensors")).headers["X-Linked-Size"])
        for revision in ("main", "refs%2Fheads%2Fmain", "v1.0", "float16", commit_hash, commit_hash[:8])
    }
    assert sizes.pop("float16") < sizes["main"] and len(set(sizes.values())) == 1
    early = await call("GET", f"{ENCODER}/resolve/v0.9/onnx%2Fmodel.onnx")
    assert early.status == 404


async def test_the_cache_address_wants_a_commit_and_checks_who_asks(call, sandbox, commit_hash):
    assert (await call("GET", f"/api/resolve-cache/models{ENCODER}/main/README.md")).status == 404
    private = sandbox.hub.repos.find("model", "alice/private-diary-classifier").head
    path = f"/api/resolve-cache/models/alice/private-diary-classifier/{private}/README.md"
    assert (await call("GET", path)).status == 401
    assert (await call("GET", path, token=ALICE)).status == 200


async def test_raw_is_what_git_has(call):
    pointer = await call("GET", f"{ENCODER}/raw/main/model.safetensors")
    assert pointer.body.startswith(b"version https://git-lfs.github.com/spec/v1\noid sha256:")
    card = await call("GET", f"{ENCODER}/raw/main/README.md")
    assert card.body.startswith(b"---\n") and card.headers["X-Repo-Commit"]


@pytest.mark.parametrize(
    "name", ["a b#?%+.txt", 'quote"s.txt', "ünï/çødé 物語.txt", "back\\slash.txt", "%2F.txt", "..dots", "-"]
)
async def test_awful_file_names_come_back_byte_for_byte(call, sandbox, name):
    repo = sandbox.hub.repos.find("model", "bob/digits-mlp")
    sandbox.hub.commit(repo, {name: b"awful"}, "awful", by="bob")
    there = await call("GET", f"/bob/digits-mlp/resolve/main/{quote(name)}")
    here = await call("GET", there.headers["Location"])
    assert (there.status, here.status, here.body) == (307, 200, b"awful")


async def test_a_download_is_counted_once_in_a_while(call, sandbox):
    record = sandbox.hub.repos.find("model", "alice/tiny-sentence-encoder").record
    before = record.downloads
    for _ in range(3):
        await call("GET", CARD)
    assert record.downloads == before
    for _ in range(3):
        await call("GET", WEIGHTS)
    assert record.downloads == before + 1
    await call("HEAD", WEIGHTS, token=BOB)
    assert record.downloads == before + 2


async def test_an_empty_file_has_no_ranges(call, sandbox):
    repo = sandbox.hub.repos.find("model", "bob/digits-mlp")
    sandbox.hub.commit(repo, {"empty": b""}, "empty", by="bob")
    location = (await call("GET", "/bob/digits-mlp/resolve/main/empty")).headers["Location"]
    assert (await call("GET", location)).headers["Content-Length"] == "0"
    assert (await call("GET", location, headers={"Range": "bytes=0-"})).status == 416


async def test_a_large_object_is_sent_from_disk_and_readers_who_leave_are_let_go(sandbox, http, tmp_path):
    """Many times what a process may hold in a socket's buffer, read by one who stops and one who does not."""
    size_bytes = 64 * 1024 * 1024
    path = sandbox.hub.objects.incoming()
    with path.open("wb") as file:
        file.truncate(size_bytes)
    oid = "0" * 64
    sandbox.hub.objects.adopt(path, oid)
    url = download_url(sandbox.hub, "repo", oid, "inline")
    async with http.get(url) as leaver:
        await leaver.content.readexactly(1000)
    read = 0
    async with http.get(url) as answer:
        async for chunk in answer.content.iter_any():
            read += len(chunk)
    assert read == size_bytes
