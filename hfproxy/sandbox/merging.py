"""What a merge would change: two sides of a history, file by file, against the commit they both come from."""

from collections.abc import Mapping
from dataclasses import dataclass

from .history import History


@dataclass(frozen=True, slots=True)
class Merge:
    """What must change on our side to have both, and the paths where that cannot be told."""

    changes: Mapping[str, str | None]
    conflicts: tuple[str, ...]


def merge(history: History, ours: str, theirs: str) -> Merge:
    """Their changes since the last common commit, on top of ours.

    A file that both sides changed differently is in conflict, also where git would have merged its lines.
    """
    base = history.common_ancestor(ours, theirs)
    files_before = _files(history, base) if base else {}
    our_files, their_files = _files(history, ours), _files(history, theirs)
    changes: dict[str, str | None] = {}
    conflicts = set()
    for path in files_before.keys() | their_files.keys():
        before, our, their = files_before.get(path), our_files.get(path), their_files.get(path)
        if their in (before, our):
            continue
        if our == before:
            changes[path] = their
        else:
            conflicts.add(path)
    conflicts |= _standing_in_the_way(our_files, changes)
    return Merge({path: oid for path, oid in changes.items() if path not in conflicts}, tuple(sorted(conflicts)))


def _files(history: History, commit_hash: str) -> dict[str, str]:
    return {entry.path: entry.oid for entry in history.files(commit_hash)}


def _standing_in_the_way(our_files: Mapping[str, str], changes: Mapping[str, str | None]) -> set[str]:
    """New files whose path is a folder on our side, or leads through a file of ours that stays."""
    stays = {path for path in our_files if changes.get(path, "") is not None}
    folders = {folder for path in stays for folder in _folders(path)}
    return {
        path for path, oid in changes.items() if oid is not None and (path in folders or stays & set(_folders(path)))
    }


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
