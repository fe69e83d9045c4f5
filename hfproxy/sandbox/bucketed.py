"""Buckets: files by path, without history. Their bytes are in the Xet store alone.

A folder is no thing of its own: it is there while a file's path goes through it, so both `logs` and
`logs/a` may be files.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, TypeAdapter

KEPT_AS = "buckets.json"


class BucketFile(BaseModel):
    path: str
    xet_hash: str
    size_bytes: int
    mtime: datetime
    """When the uploader's file was changed, as the uploader says."""
    uploaded_at: datetime
    content_type: str | None = None


class Bucket(BaseModel):
    oid: str = Field(default_factory=lambda: secrets.token_hex(12))
    namespace: str
    name: str
    visibility: Literal["public", "private"] = "public"
    created_at: datetime
    updated_at: datetime
    region: str | None = None
    resource_group: str | None = None
    old_ids: list[str] = Field(default_factory=list)
    """Former `owner/name`s that redirect here."""
    files: dict[str, BucketFile] = Field(default_factory=dict)
    """By path."""
    contents: dict[str, str] = Field(default_factory=dict)
    """All that was ever uploaded or copied here: the sha256 of each Xet hash. Only these may be given a path."""

    # What `rights.py` asks of everything that somebody owns.

    @property
    def kind(self) -> str:
        return "bucket"

    @property
    def owner(self) -> str:
        return self.namespace

    @property
    def repo_id(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def is_private(self) -> bool:
        return self.visibility == "private"

    @property
    def is_disabled(self) -> bool:
        return False

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files.values())

    def shows(self, xet_hash: str) -> bool:
        """Whether a file of the bucket has this content now."""
        return any(file.xet_hash == xet_hash for file in self.files.values())

    def under(self, prefix: str) -> list[BucketFile]:
        """The files whose paths begin with a text, whether or not it ends where a folder's name does."""
        return [self.files[path] for path in sorted(self.files) if path.startswith(prefix)]


_ALL = TypeAdapter(list[Bucket])


class Buckets:
    """All buckets of a Hub, in order of creation. A name in use wins over one that somebody gave up."""

    def __init__(self, kept: str | None) -> None:
        self._all = {each.oid: each for each in (_ALL.validate_json(kept) if kept else [])}

    def __iter__(self) -> Iterator[Bucket]:
        return iter(list(self._all.values()))

    def text(self) -> str:
        """All of them, to be kept."""
        return _ALL.dump_json(list(self._all.values())).decode()

    def find(self, bucket_id: str) -> Bucket | None:
        """By `owner/name`, in any case."""
        return self._named(bucket_id, lambda bucket: [bucket.repo_id])

    def renamed(self, bucket_id: str) -> Bucket | None:
        """The bucket that had this name before, unless the name is in use again."""
        return None if self.find(bucket_id) else self._named(bucket_id, lambda bucket: bucket.old_ids)

    def by_id(self, oid: str) -> Bucket | None:
        return self._all.get(oid)

    def add(self, bucket: Bucket) -> None:
        self._all[bucket.oid] = bucket

    def remove(self, bucket: Bucket) -> None:
        del self._all[bucket.oid]

    def _named(self, bucket_id: str, names: Callable[[Bucket], list[str]]) -> Bucket | None:
        wanted = bucket_id.casefold()
        return next((each for each in self._all.values() if wanted in map(str.casefold, names(each))), None)


def level(files: Iterable[BucketFile], prefix: str) -> list[BucketFile | tuple[str, datetime]]:
    """Files and folders one step below a prefix's last folder, in order; a folder with its newest upload."""
    depth = prefix.rstrip("/").count("/") + 1 if prefix else 0
    entries: dict[str, BucketFile | tuple[str, datetime]] = {}
    for file in files:
        parts = file.path.split("/")
        if len(parts) <= depth + 1:
            entries[file.path] = file
            continue
        folder = "/".join(parts[: depth + 1])
        known = entries.get(f"{folder}/")
        newest = max(file.uploaded_at, known[1]) if isinstance(known, tuple) else file.uploaded_at
        entries[f"{folder}/"] = (folder, newest)
    return [entries[name] for name in sorted(entries)]
