"""Files up and down, run inside a client's own environment: small, LFS in one and in several parts, odd names."""

import os
import sys
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, HfFileSystem, hf_hub_download, snapshot_download
from huggingface_hub.utils import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

api, bob = HfApi(), HfApi(token="hf_sandbox_bob")
REPO = "alice/transfers"
BIG, PARTS = os.urandom(300_000), os.urandom(int(sys.argv[1]))
ODD = 'déjà vu/50% #1?+&=".bin'


def uploads():
    api.create_repo(REPO)
    made = api.upload_file(path_or_fileobj=b"small", path_in_repo="small.txt", repo_id=REPO)
    assert made.commit_url.startswith(f"{api.endpoint}/{REPO}/commit/"), made.commit_url
    Path("big.bin").write_bytes(BIG)
    Path("parts.bin").write_bytes(PARTS)
    api.upload_file(path_or_fileobj="big.bin", path_in_repo="big.bin", repo_id=REPO)
    api.upload_file(path_or_fileobj="parts.bin", path_in_repo="parts.bin", repo_id=REPO)
    folder = Path("folder/sub")
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "b.bin").write_bytes(BIG[::-1])
    api.upload_folder(folder_path="folder", path_in_repo="folder", repo_id=REPO)
    api.upload_file(path_or_fileobj=b"odd", path_in_repo=ODD, repo_id=REPO)


def downloads():
    assert Path(hf_hub_download(REPO, "small.txt")).read_bytes() == b"small"
    assert Path(hf_hub_download(REPO, "big.bin")).read_bytes() == BIG
    assert Path(hf_hub_download(REPO, "parts.bin")).read_bytes() == PARTS
    assert Path(hf_hub_download(REPO, "b.bin", subfolder="folder/sub")).read_bytes() == BIG[::-1]
    assert Path(hf_hub_download(REPO, ODD)).read_bytes() == b"odd"
    snapshot = Path(snapshot_download(REPO))
    assert sorted(str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if path.is_file()) == sorted(
        [".gitattributes", "big.bin", ODD, "folder/sub/a.txt", "folder/sub/b.bin", "parts.bin", "small.txt"]
    )
    there = Path(snapshot_download(REPO, local_dir="there", allow_patterns=["folder/*"]))
    assert (there / "folder/sub/b.bin").read_bytes() == BIG[::-1]
    try:
        hf_hub_download(REPO, "nothing")
    except EntryNotFoundError:
        return
    raise AssertionError("a missing file was found")


def pull_requests():
    made = api.create_commit(
        REPO, operations=[CommitOperationAdd("pr.txt", b"pr")], commit_message="A change", create_pr=True
    )
    assert made.pr_url == f"{api.endpoint}/{REPO}/discussions/{made.pr_num}", made.pr_url
    assert Path(hf_hub_download(REPO, "pr.txt", revision=made.pr_revision)).read_bytes() == b"pr"
    assert not api.file_exists(REPO, "pr.txt")


def file_system():
    fs = HfFileSystem()
    assert sorted(fs.ls(REPO, detail=False))[:2] == [f"{REPO}/.gitattributes", f"{REPO}/big.bin"]
    with fs.open(f"{REPO}/big.bin", "rb") as file:
        file.seek(123_456)
        assert file.read(10) == BIG[123_456:123_466]
    assert fs.cat_file(f"{REPO}/parts.bin", start=10, end=20) == PARTS[10:20]
    with fs.open(f"{REPO}/written.txt", "w") as file:
        file.write("written")
    assert fs.read_text(f"{REPO}/written.txt") == "written"
    fs.rm(f"{REPO}/written.txt")
    assert not fs.exists(f"{REPO}/written.txt", refresh=True)
    told = fs.info(f"{REPO}/parts.bin")
    assert (told["type"], told["size"], told["lfs"]["size"]) == ("file", len(PARTS), len(PARTS))
    assert sorted(fs.glob(f"{REPO}/**/*.bin")) == sorted(
        f"{REPO}/{path}" for path in ("big.bin", ODD, "folder/sub/b.bin", "parts.bin")
    )
    with fs.open(f"{REPO}/{ODD}", "rb") as file:
        file.seek(1)
        assert file.read() == b"dd"
    fs.cp_file(f"{REPO}/big.bin", f"{REPO}/copies/50% big.bin")
    assert fs.cat_file(f"{REPO}/copies/50% big.bin") == BIG
    with fs.open(f"{REPO}/copies/streamed.bin", "wb") as file:
        for at in range(0, len(PARTS), 5_000_000):
            file.write(PARTS[at : at + 5_000_000])
    assert fs.cat_file(f"{REPO}/copies/streamed.bin") == PARTS
    with fs.open(f"{REPO}@refs/pr/1/pr.txt", "rb") as file:
        assert file.read() == b"pr"
    assert [entry["name"] for entry in fs.ls(f"{REPO}@refs%2Fpr%2F1", refresh=True) if entry["name"].endswith("pr.txt")]
    fs.rm(f"{REPO}/copies", recursive=True)
    assert not fs.exists(f"{REPO}/copies/streamed.bin", refresh=True)


def rights():
    api.create_repo("alice/hidden", private=True)
    api.upload_file(path_or_fileobj=b"secret", path_in_repo="x", repo_id="alice/hidden")
    assert Path(hf_hub_download("alice/hidden", "x")).read_bytes() == b"secret"
    for call in (
        lambda: hf_hub_download("alice/hidden", "x", token=bob.token, cache_dir="bob"),
        lambda: bob.model_info("alice/hidden"),
    ):
        try:
            call()
        except RepositoryNotFoundError:
            continue
        raise AssertionError("a private repository was seen")
    api.update_repo_settings("alice/hidden", private=False, gated="manual")
    try:
        hf_hub_download("alice/hidden", "x", token=bob.token, cache_dir="bob")
    except GatedRepoError:
        return
    raise AssertionError("a gated repository was read")


def renamed():
    api.move_repo(REPO, "acme/moved")
    assert api.model_info(REPO).id == "acme/moved"
    assert Path(hf_hub_download(REPO, "big.bin", cache_dir="renamed")).read_bytes() == BIG
    assert Path(hf_hub_download(REPO, "small.txt", cache_dir="renamed")).read_bytes() == b"small"


for scenario in (uploads, downloads, pull_requests, file_system, rights, renamed):
    scenario()
    print("passed", scenario.__name__, flush=True)
