"""A batch of changes of a bucket: lines of JSON, each carried out or refused on its own.

Source: contract section 6 (buckets); client 2.4 `hf_api.py` `_batch_bucket_files`.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from hfproxy.upstream.refs import RepoType
from hfproxy.upstream.xet_hashes import unspelled

from .bucketed import Bucket, BucketFile
from .call import Call
from .cas.store import XetFile
from .refusals import BadRequest, Refusal

MOST_OPERATIONS = 10_000
_LAST_MS = 253_402_300_799_000  # the end of the year 9999
_MOST_PATH_BYTES = 1024

Milliseconds = Annotated[int, Field(ge=0, le=_LAST_MS)]


class AddFile(BaseModel):
    type: Literal["addFile"]
    path: str
    xet_hash: str = Field(alias="xetHash")
    mtime: Milliseconds | None = None
    content_type: str | None = Field(None, alias="contentType")


class CopyFile(BaseModel):
    type: Literal["copyFile"]
    path: str
    xet_hash: str = Field(alias="xetHash")
    mtime: Milliseconds | None = None
    source_type: RepoType | Literal["bucket"] = Field(alias="sourceRepoType")
    source_id: str = Field(alias="sourceRepoId")


class DeleteFile(BaseModel):
    type: Literal["deleteFile"]
    path: str


Operation = Annotated[AddFile | CopyFile | DeleteFile, Field(discriminator="type")]
_OPERATION: TypeAdapter[AddFile | CopyFile | DeleteFile] = TypeAdapter(Operation)


def read_operations(body: bytes) -> list[AddFile | CopyFile | DeleteFile]:
    """The operations of a body. Raises BadRequest when a line is none."""
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) > MOST_OPERATIONS:
        raise BadRequest(f"Too many operations: at most {MOST_OPERATIONS}", status=413)
    try:
        return [_OPERATION.validate_json(line) for line in lines]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][1:])) or "operation"
        raise BadRequest(f'"{where}": {first["msg"]}') from None


def carry_out(call: Call, bucket: Bucket, operation: AddFile | CopyFile | DeleteFile) -> None:
    """Do one of them. Raises Refusal."""
    check_path(operation.path)
    if isinstance(operation, DeleteFile):
        bucket.files.pop(operation.path, None)
        return
    content = _copied(call, operation) if isinstance(operation, CopyFile) else _uploaded(call, bucket, operation)
    now = call.hub.now()
    bucket.contents[content.name] = content.sha256
    bucket.files[operation.path] = BucketFile(
        path=operation.path,
        xet_hash=content.name,
        size_bytes=content.size_bytes,
        mtime=now if operation.mtime is None else datetime.fromtimestamp(operation.mtime / 1000, UTC),
        uploaded_at=now,
        content_type=operation.content_type if isinstance(operation, AddFile) else None,
    )


def check_path(path: str) -> None:
    """Raises BadRequest for a path that cannot be a file's anywhere."""
    if not path or len(path.encode(errors="replace")) > _MOST_PATH_BYTES or "\0" in path:
        raise BadRequest("Invalid path")
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise BadRequest("Invalid path")


def _uploaded(call: Call, bucket: Bucket, operation: AddFile) -> XetFile:
    """What was uploaded to this very bucket: to know the hash of a content gives no right to it."""
    file = _known(call, operation.xet_hash)
    if file is None or file.name not in bucket.contents:
        raise BadRequest(f"Xet hash not found: {operation.xet_hash}")
    return file


def _copied(call: Call, operation: CopyFile) -> XetFile:
    """What another place has that the caller may read."""
    missing = BadRequest(f"Xet hash not found in source: {operation.xet_hash}")
    file = _known(call, operation.xet_hash)
    rights = call.hub.rights
    try:
        if operation.source_type == "bucket":
            source = rights.check_visible(call.caller, call.hub.buckets.find(operation.source_id))
            has = file is not None and source.shows(file.name)
        else:
            repo = call.named_repo(operation.source_type, operation.source_id)
            rights.check_gate(call.caller, repo)
            has = file is not None and file.sha256 in repo.record.lfs
    except Refusal as refusal:
        raise BadRequest(f"Source {operation.source_type} {operation.source_id}: {refusal.message}") from None
    if file is None or not has:
        raise missing
    return file


def _known(call: Call, xet_hash: str) -> XetFile | None:
    try:
        return call.hub.cas.store.file(unspelled(xet_hash))
    except ValueError:
        return None
