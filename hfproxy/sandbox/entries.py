"""Files and folders as tree and paths-info tell them. Source: contract section 3.3."""

from collections.abc import Mapping, Sequence
from typing import Any

from .history import Change, Entry
from .repository import Repository
from .whoami import iso

# What somebody who has not been let in sees in place of a large file's hash (contract section 1.4).
REDACTED = "*" * 64
# What the Hub's scanners say of a file they like; clients read the two scans (`huggingface_hub` `hf_api.py`, RepoFile).
SCANNED = {
    "status": "safe",
    "avScan": {"status": "safe", "version": "1", "message": None},
    "pickleImportScan": {"status": "unscanned", "pickleImports": [], "message": None},
}


def described(
    repo: Repository,
    commit_hash: str,
    entries: Sequence[Entry],
    *,
    expand: bool,
    redacted: bool,
    xet_hashes: Mapping[str, str],
) -> list[dict[str, Any]]:
    """The entries of one commit; `expand` adds the last commit of each and what a scan of the files says.

    xet_hashes: of the large files that are offered by Xet, by sha256.
    """
    last = repo.history.last_changes(commit_hash, [entry.path for entry in entries]) if expand else {}
    return [_described(entry, last.get(entry.path), expand, redacted, xet_hashes) for entry in entries]


def _described(
    entry: Entry, last: Change | None, expand: bool, redacted: bool, xet_hashes: Mapping[str, str]
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": "directory" if entry.is_folder else "file",
        "oid": entry.oid,
        "size": entry.size_bytes,
        "path": entry.path,
    }
    if entry.pointer:
        told["lfs"] = {
            "oid": REDACTED if redacted else entry.pointer.oid,
            "size": entry.size_bytes,
            "pointerSize": entry.pointer_size_bytes,
        }
        if xet_hash := xet_hashes.get(entry.pointer.oid):
            told["xetHash"] = REDACTED if redacted else xet_hash
    if last:
        told["lastCommit"] = {"id": last.commit_hash, "title": last.title, "date": iso(last.date)}
    if expand and not entry.is_folder:
        told["securityFileStatus"] = SCANNED
    return told
