"""git-lfs file locks, in memory: who said that nobody else should change which file.

Source: git-lfs `docs/api/locking.md`.
"""

import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class FileLock:
    path: str
    owner: str
    locked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    lock_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def told(self) -> dict[str, object]:
        return {
            "id": self.lock_id,
            "path": self.path,
            "locked_at": self.locked_at.isoformat().replace("+00:00", "Z"),
            "owner": {"name": self.owner},
        }


class FileLocks:
    """The locks of every repository, by its `_id`; forgotten with the process."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, dict[str, FileLock]] = defaultdict(dict)

    def of(self, repo_oid: str) -> list[FileLock]:
        return list(self._locks[repo_oid].values())

    def on(self, repo_oid: str, path: str) -> FileLock | None:
        return next((lock for lock in self.of(repo_oid) if lock.path == path), None)

    def add(self, repo_oid: str, path: str, owner: str) -> FileLock:
        lock = FileLock(path, owner)
        self._locks[repo_oid][lock.lock_id] = lock
        return lock

    def find(self, repo_oid: str, lock_id: str) -> FileLock | None:
        return self._locks[repo_oid].get(lock_id)

    def remove(self, repo_oid: str, lock_id: str) -> None:
        self._locks[repo_oid].pop(lock_id, None)
