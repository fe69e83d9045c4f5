"""Bytes up and down, run inside a client's own environment against the demo's repositories."""

import hashlib
import json
import random
import sys
import tempfile
import urllib.request
from pathlib import Path

from huggingface_hub import HfApi, HfFileSystem, __version__, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.utils import EntryNotFoundError, GatedRepoError, HfHubHTTPError

api = HfApi(token="hf_sandbox_alice")
ENCODER, VOICE, STICKERS = "alice/tiny-sentence-encoder", "bob/voice-cloner-research", "alice/cat-stickers"
MIB = 1024 * 1024
OLD = __version__.startswith("0.")
LARGE = random.Random(1).randbytes(24 * MIB)


def order(*lines):
    """These troubles and no others."""
    body = "\n".join(lines).encode()
    request = urllib.request.Request(f"{api.endpoint}/-/trouble", data=body, method="PUT")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def fresh():
    """A new cache, so that nothing is known from before."""
    return tempfile.mkdtemp()


def uploads():
    api.create_repo("alice/up")
    api.upload_file(path_or_fileobj=b"# Up\n", path_in_repo="README.md", repo_id="alice/up")
    api.upload_file(path_or_fileobj=LARGE[:MIB], path_in_repo="small.bin", repo_id="alice/up")
    api.upload_file(path_or_fileobj=LARGE, path_in_repo="deep/large.bin", repo_id="alice/up")
    folder = Path(tempfile.mkdtemp())
    for path, content in {"a.txt": b"a", "sub/b.json": b"{}", "sub/c.safetensors": LARGE[:5000], "d.bin": b""}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    api.upload_folder(folder_path=folder, repo_id="alice/up")
    files = {file.path: file for file in api.list_repo_tree("alice/up", recursive=True) if hasattr(file, "size")}
    assert files["deep/large.bin"].lfs.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert files["deep/large.bin"].size == len(LARGE) and files["d.bin"].lfs is None
    for path, content in {"small.bin": LARGE[:MIB], "deep/large.bin": LARGE, "d.bin": b"", "sub/b.json": b"{}"}.items():
        assert Path(hf_hub_download("alice/up", path, cache_dir=fresh())).read_bytes() == content, path


def the_same_bytes_are_not_sent_twice():
    before = order()
    assert before == {"troubles": []}
    order("status=500,origin=cdn,method=PUT")
    api.upload_file(path_or_fileobj=LARGE[:MIB], path_in_repo="again.bin", repo_id="alice/up")
    order()


def uploads_to_a_pull_request():
    bob = HfApi(token="hf_sandbox_bob")
    made = bob.upload_file(path_or_fileobj=LARGE[:7000], path_in_repo="pr.bin", repo_id="alice/up", create_pr=True)
    got = hf_hub_download("alice/up", "pr.bin", revision=made.pr_revision, cache_dir=fresh())
    assert Path(got).read_bytes() == LARGE[:7000]
    assert not api.file_exists("alice/up", "pr.bin")


def downloads():
    for repo_type, repo_id, path in (
        ("model", ENCODER, "README.md"),
        ("model", ENCODER, "onnx/model.onnx"),
        ("dataset", STICKERS, "train/metadata.jsonl"),
        ("dataset", STICKERS, "train/happy-orange-cat-in-a-park.png"),
        ("space", "acme/status-page", "index.html"),
    ):
        cache = fresh()
        got = Path(hf_hub_download(repo_id, path, repo_type=repo_type, cache_dir=cache))
        [entry] = api.get_paths_info(repo_id, path, repo_type=repo_type)
        content = got.read_bytes()
        etag = entry.lfs.sha256 if entry.lfs else entry.blob_id
        assert got.resolve().name == etag and len(content) == entry.size
        assert hashlib.sha256(content).hexdigest() == etag or entry.blob_id == git_oid(content)
        assert hf_hub_download(repo_id, path, repo_type=repo_type, cache_dir=cache) == str(got)
    old, new = (hf_hub_download(ENCODER, "model.safetensors", revision=each) for each in ("v1.0", "float16"))
    assert Path(old).stat().st_size > Path(new).stat().st_size
    local = Path(hf_hub_download(ENCODER, "vocab.txt", local_dir=tempfile.mkdtemp()))
    assert local.read_text().startswith("[PAD]")


def git_oid(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def absent_files_are_remembered():
    cache = fresh()
    assert api.file_exists(ENCODER, "README.md") and not api.file_exists(ENCODER, "nothing")
    assert not api.file_exists("alice/nobody", "README.md")
    try:
        hf_hub_download(ENCODER, "nothing", cache_dir=cache)
    except EntryNotFoundError:
        assert try_to_load_from_cache(ENCODER, "nothing", cache_dir=cache) not in (None, "nothing")
    else:
        raise AssertionError("it was found")


def snapshots():
    cache = fresh()
    folder = Path(snapshot_download(ENCODER, cache_dir=cache))
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert paths == set(api.list_repo_files(ENCODER))
    order("cut=headers,path=*/resolve*")
    assert snapshot_download(ENCODER, cache_dir=cache) == str(folder)
    order()
    some = Path(snapshot_download(STICKERS, repo_type="dataset", allow_patterns="*cat*.png", cache_dir=fresh()))
    assert len(list(some.rglob("*.png"))) == 12


def ranges_through_the_file_system():
    files = HfFileSystem(token="hf_sandbox_alice", skip_instance_cache=True)
    where = "alice/up/deep/large.bin"
    assert files.info(where)["size"] == len(LARGE)
    with files.open(where, block_size=4096) as file:
        file.seek(10 * MIB)
        assert file.read(100) == LARGE[10 * MIB : 10 * MIB + 100]
        file.seek(-10, 2)
        assert file.read() == LARGE[-10:]
    assert files.cat_file(where, start=100, end=200) == LARGE[100:200]
    with files.open(f"{ENCODER}/README.md") as file:
        assert file.read(4) == b"---\n"
    assert files.glob(f"datasets/{STICKERS}/train/*sleepy*.png")
    with files.open("alice/up/written.txt", "w") as file:
        file.write("by the file system")
    assert files.cat_file("alice/up/written.txt") == b"by the file system"


def safetensors_are_read_in_part():
    metadata = api.get_safetensors_metadata("alice/tiny-sentence-encoder")
    assert metadata.parameter_count["F32"] > 1000 and not metadata.sharded
    api.token = "hf_sandbox_bob"
    sharded = api.get_safetensors_metadata("acme/parrot-chat-mini")
    api.token = "hf_sandbox_alice"
    assert sharded.sharded and "lm_head.weight" in sharded.weight_map


def gates_and_walls():
    for token, kind, status in ((False, GatedRepoError, 401), ("hf_sandbox_alice", GatedRepoError, 403)):
        try:
            hf_hub_download(VOICE, "config.json", token=token, cache_dir=fresh())
        except kind as error:
            assert error.response.status_code == status and "restricted" in str(error), error
        else:
            raise AssertionError("the gate was open")
        assert hf_hub_download(VOICE, "README.md", token=token, cache_dir=fresh())
    for path in ("config.json", "model.safetensors"):
        assert hf_hub_download(VOICE, path, token="hf_sandbox_bob", cache_dir=fresh())
    assert hf_hub_download("acme/parrot-chat-mini", "config.json", token="hf_sandbox_bob", cache_dir=fresh())
    private = "alice/private-diary-classifier"
    for path in ("README.md", "model.safetensors"):
        assert hf_hub_download(private, path, token="hf_sandbox_alice", cache_dir=fresh())
        for token, status in ((False, 401), ("hf_sandbox_bob", 404)):
            try:
                api.file_exists(private, path, token=token) and 1 / 0
            except HfHubHTTPError as error:
                assert error.response.status_code == status


def a_cut_body_is_resumed():
    """By the same call; 0.x gives up, and takes it up again when it is called again."""
    order(f"cut={11 * MIB},origin=cdn,method=GET,times=1")
    cache = fresh()
    if OLD:
        try:
            hf_hub_download("alice/up", "deep/large.bin", cache_dir=cache)
        except OSError as error:
            assert "IncompleteRead" in str(error), error
        else:
            raise AssertionError("the body was not cut")
    got = hf_hub_download("alice/up", "deep/large.bin", cache_dir=cache)
    assert Path(got).read_bytes() == LARGE


def a_hub_that_fails_now_and_then_is_asked_again():
    limited = [] if OLD else ["rate_limited=0,origin=cdn,method=GET,times=1"]  # 0.x asks only once
    order("status=503,method=HEAD,path=*/resolve/*,times=1", *limited)
    assert hf_hub_download(ENCODER, "model.safetensors", cache_dir=fresh())
    preupload = [] if OLD else ["status=500,path=*/preupload/*,times=1"]
    order("status=503,origin=cdn,method=PUT,times=1", *preupload)
    api.upload_file(path_or_fileobj=LARGE[: 2 * MIB], path_in_repo="retried.bin", repo_id="alice/up")
    order()


def a_body_that_is_too_short_is_noticed():
    order("length=-3,origin=cdn,method=GET")
    try:
        hf_hub_download(ENCODER, "model.safetensors", cache_dir=fresh())
    except OSError as error:
        assert "size" in str(error), error
    else:
        raise AssertionError("a short file was taken for whole")
    order()


if __name__ == "__main__":
    from names import NAMES

    for name in NAMES["files"]:
        globals()[name]()
        print(f"passed {name}")
        sys.stdout.flush()
