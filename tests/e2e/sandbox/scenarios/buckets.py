"""A bucket's life with the real client: filled, listed, read, copied within, renamed and deleted.

`limited` as the second argument: with a key for `buckets/alice/*` alone, which lists no buckets.
"""

import sys
from pathlib import Path

from huggingface_hub import HfApi, HfFileSystem
from huggingface_hub.errors import BucketNotFoundError, HfHubHTTPError

folder, limited = Path(sys.argv[1]), "limited" in sys.argv


def refused(call, *arguments):
    try:
        call(*arguments)
    except HfHubHTTPError as error:
        return error.response.status_code == 403
    return False


api = HfApi()
weights = (folder / "weights.bin").read_bytes()
bucket = api.create_bucket("pool").bucket_id
assert api.create_bucket("pool", exist_ok=True).bucket_id == bucket == "alice/pool"

api.batch_bucket_files(
    bucket, add=[(folder / "weights.bin", "sub/weights.bin"), (b"hello", "hello.txt"), (b"", "empty")]
)
assert {file.path: file.size for file in api.list_bucket_tree(bucket)} == {
    "sub/weights.bin": len(weights),
    "hello.txt": 5,
    "empty": 0,
}
down = [("sub/weights.bin", folder / "down.bin"), ("hello.txt", folder / "down.txt"), ("empty", folder / "down")]
api.download_bucket_files(bucket, down)
assert (folder / "down.bin").read_bytes() == weights
assert (folder / "down.txt").read_bytes() == b"hello" and (folder / "down").read_bytes() == b""

files, root = HfFileSystem(), f"hf://buckets/{bucket}"
assert files.ls(root, detail=False) == [f"buckets/{bucket}/{name}" for name in ("empty", "hello.txt", "sub")]
with files.open(f"{root}/sub/weights.bin", block_size=1000) as opened:
    opened.seek(100_000)
    assert opened.read(50) == weights[100_000:100_050]
with files.open(f"{root}/new/note.txt", "wb") as written:
    written.write(b"a note")
assert files.cat(f"{root}/new/note.txt") == b"a note"

api.copy_files(f"{root}/sub", f"{root}/copy/")
api.batch_bucket_files(bucket, delete=["hello.txt", "empty"])
assert {file.path for file in api.list_bucket_tree(bucket)} == {"sub/weights.bin", "copy/weights.bin", "new/note.txt"}

api.update_bucket_settings(bucket, private=True)
api.move_bucket(bucket, "alice/archive")
info = api.bucket_info("alice/archive")
assert info.private and info.total_files == 3
if limited:
    assert refused(lambda: list(api.list_buckets()))
    assert refused(api.bucket_info, "bob/pool") and refused(api.create_bucket, "bob/pool")
    assert refused(api.model_info, "alice/archive")
else:
    assert [each.id for each in api.list_buckets()] == ["alice/archive"]
api.delete_bucket("alice/archive")
try:
    api.bucket_info("alice/archive")
except BucketNotFoundError:
    print("done")
