"""A commit as clients send it: one JSON object a line, turned into changes of paths as the lines come.

Source: contract section 6.5. A line's file becomes a git blob at once, so that never more than one is in memory; when
a later line is refused, nothing names those blobs.
"""

import base64
import binascii
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from .history import Entry
from .hub import Hub
from .pointers import Pointer
from .refusals import BadRequest, Refusal
from .repository import Repository

LONGEST_LINE_BYTES = 256 * 1024 * 1024
_EMPTY = "Add a line with the key `lfsFile`, `file`, `deletedFile` or `deletedFolder`"


@dataclass(slots=True)
class Draft:
    """What one commit will do. `changes` is path to blob id, None for a path that goes away."""

    summary: str = ""
    description: str = ""
    parent_commit: str | None = None
    changes: dict[str, str | None] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return f"{self.summary}\n\n{self.description}" if self.description else self.summary


class Drafter:
    """Reads the lines of one commit on top of `base`."""

    def __init__(self, hub: Hub, repo: Repository, base: str) -> None:
        self._hub = hub
        self._repo = repo
        self._base = base
        self._draft = Draft()

    async def read(self, lines: AsyncIterator[bytes]) -> Draft:
        """The whole commit. Raises BadRequest for what is malformed and Refusal for what names nothing."""
        async for line in lines:
            if line.strip():
                self._take(line)
        return self._whole()

    def read_object(self, fields: dict[str, Any]) -> Draft:
        """The same from one JSON object, as clients before 0.10 send it.

        Source: `huggingface_hub` 0.8.1 `_commit_api.py`, `prepare_commit_payload`.
        """
        self._take_header(fields)
        for name, take in (
            ("files", self._take_file),
            ("lfsFiles", self._take_lfsFile),
            ("deletedFiles", self._take_deletedFile),
        ):
            listed = fields.get(name, [])
            if not isinstance(listed, list) or not all(isinstance(value, dict) for value in listed):
                raise BadRequest(f'"{name}" must be a list of objects')
            for value in listed:
                take(value)
        return self._whole()

    def _whole(self) -> Draft:
        if not self._draft.summary:
            raise BadRequest("Add a line with the key `header` and a summary")
        if not self._draft.changes:
            raise BadRequest(_EMPTY)
        return self._draft

    def _take(self, line: bytes) -> None:
        try:
            parsed = json.loads(line)
            key, value = parsed["key"], parsed["value"]
        except (ValueError, KeyError, TypeError):
            raise BadRequest("Each line must be a JSON object with a key and a value") from None
        take = getattr(self, f"_take_{key}", None) if isinstance(key, str) else None
        if take is None or not isinstance(value, dict):
            raise BadRequest(f"Unknown key {key!r}. {_EMPTY}")
        take(value)

    def _take_header(self, value: dict[str, Any]) -> None:
        self._draft.summary = str(value.get("summary") or "").strip()
        self._draft.description = str(value.get("description") or "").strip()
        self._draft.parent_commit = value.get("parentCommit")

    def _take_file(self, value: dict[str, Any]) -> None:
        content = value.get("content")
        if not isinstance(content, str):
            raise BadRequest('"content" is required')
        try:
            encoded = value.get("encoding", "utf-8") == "base64"
            decoded = base64.b64decode(content, validate=True) if encoded else content.encode()
        except binascii.Error:
            raise BadRequest('"content" is not base64') from None
        self._draft.changes[checked_path(value)] = self._repo.history.add_blob(decoded)

    def _take_lfsFile(self, value: dict[str, Any]) -> None:  # noqa: N802 - the Hub's spelling
        path, oid = checked_path(value), str(value.get("oid"))
        record = self._repo.record.lfs.get(oid)
        if record is None or not self._hub.objects.has(oid):
            raise BadRequest(f"LFS pointer pointed to a file that does not exist: {oid}")
        # A copy names no size (`huggingface_hub` `_commit_api.py`, `_prepare_commit_payload`).
        if value.get("size") not in (None, record.size_bytes):
            raise BadRequest(f"LFS object {oid} has {record.size_bytes} bytes, not {value['size']}")
        self._draft.changes[path] = self._repo.history.add_blob(bytes(Pointer(oid, record.size_bytes)))

    def _take_deletedFile(self, value: dict[str, Any]) -> None:  # noqa: N802 - the Hub's spelling
        self._delete(checked_path(value), "file")

    def _take_deletedFolder(self, value: dict[str, Any]) -> None:  # noqa: N802 - the Hub's spelling
        self._delete(checked_path(value), "folder")

    def _take_copyFile(self, value: dict[str, Any]) -> None:  # noqa: N802 - the Hub's spelling
        source = checked_path({"path": value.get("srcPath")})
        base = self._repo.commit_hash(value["srcRevision"]) if value.get("srcRevision") else self._base
        self._draft.changes[checked_path(value)] = self._repo.file(base, source).oid

    def _delete(self, path: str, kind: str) -> None:
        """Take away a file, or all files of a folder: clients name a folder as a file when it has no slash."""
        entry = self._repo.history.entry(self._base, path)
        if entry is None:
            raise Refusal(f'A {kind} with the name "{path}" does not exist', status=404, code="EntryNotFound")
        for gone in self._under(entry):
            self._draft.changes.setdefault(gone.path, None)

    def _under(self, entry: Entry) -> list[Entry]:
        if not entry.is_folder:
            return [entry]
        return [file for file in self._repo.history.walk(self._base, entry.path) if not file.is_folder]


def checked_path(value: dict[str, Any]) -> str:
    """The path of a line, if a file may have it. Raises BadRequest, with 422 for a path that no file may have.

    On Windows a backslash begins a folder: the Hub refuses a path that would leave its folder at once, and takes one
    that hides that further on (`huggingface_hub` test_create_file_with_relative_path, TestHfHubDownloadRelativePaths).
    """
    path = value.get("path")
    if not isinstance(path, str):
        raise BadRequest('"path" is required')
    path = path.removesuffix("/")
    leaves = path.startswith(("..\\", ".\\", "\\"))
    if leaves or any(part in {"", ".", "..", ".git"} for part in path.split("/")) or "\0" in path:
        raise BadRequest(f"Invalid path: {path!r}", status=422)
    return path


async def lines_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body's lines, whatever its chunks. Raises Refusal for one that is too long."""
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        # Only the new bytes can end a line: a long one is not searched again with each chunk.
        if b"\n" not in chunk:
            if len(rest) > LONGEST_LINE_BYTES:
                raise Refusal("Payload too large", status=413)
            continue
        *whole, last = bytes(rest).split(b"\n")
        rest = bytearray(last)
        for line in whole:
            yield line
    if rest:
        yield bytes(rest)
