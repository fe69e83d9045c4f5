"""Downloads and one upload by a client that has hf_xet installed and switched on."""

import sys
from pathlib import Path

from huggingface_hub import HfApi, HfFileSystem, get_hf_file_metadata, hf_hub_download, hf_hub_url, snapshot_download
from huggingface_hub.utils._runtime import is_xet_available

assert is_xet_available()
REPO, SIZE = "alice/large", int(sys.argv[1])
api = HfApi()

assert get_hf_file_metadata(hf_hub_url(REPO, "big.bin")).xet_file_data is None
assert Path(hf_hub_download(REPO, "big.bin")).read_bytes() == b"x" * SIZE
assert (Path(snapshot_download(REPO, cache_dir="other")) / "big.bin").stat().st_size == SIZE
assert HfFileSystem().cat_file(f"{REPO}/big.bin", start=5, end=9) == b"xxxx"
HfFileSystem().get_file(f"{REPO}/big.bin", "./got.bin")
assert Path("got.bin").stat().st_size == SIZE
print("passed downloads", flush=True)

Path("up.bin").write_bytes(b"u" * SIZE)
api.upload_file(path_or_fileobj="up.bin", path_in_repo="up.bin", repo_id=REPO)
assert Path(hf_hub_download(REPO, "up.bin")).read_bytes() == b"u" * SIZE
print("passed upload")
