"""What a Hub remembers, in memory or on disk.

    <data>/*.json                   what belongs to no repository: collections, webhooks, buckets
    <data>/repos/<_id>/record.json  one repository's record; a folder without one was being created, and is forgotten
    <data>/repos/<_id>/git/         its bare git repository
    <data>/in-use                   locked by the process that has the folder
    <data>/lfs/                     see `objects.py`

A file is replaced in one step, so that a killed sandbox finds the old state or the new one. Callers write git objects,
then refs, then the record.
"""

import errno
import fcntl
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from dulwich.refs import HEADREF, Ref
from dulwich.repo import BaseRepo, MemoryRepo, Repo

from .history import MAIN
from .repository import RepoRecord


class Ledger(Protocol):
    """Keeps records and git repositories by a repository's `_id`."""

    def create_git(self, oid: str) -> BaseRepo:
        """A new, empty git repository."""

    def keep(self, record: RepoRecord) -> None:
        """Remember a record as it is now."""

    def forget(self, oid: str) -> None:
        """Drop a repository, its git objects included."""

    def remembered(self) -> Iterator[tuple[RepoRecord, BaseRepo]]:
        """All repositories that were kept, in order of creation."""

    def keep_text(self, name: str, text: str) -> None:
        """Remember a text that belongs to no repository."""

    def text(self, name: str) -> str | None:
        """The text of that name, if one was kept."""

    def close(self) -> None:
        """Let go of what it keeps."""


class MemoryLedger:
    """Remembers nothing beyond the process: the running Hub's own objects are the memory."""

    def create_git(self, oid: str) -> BaseRepo:
        git = MemoryRepo()
        git.refs.set_symbolic_ref(HEADREF, Ref(MAIN.encode()))
        return git

    def keep(self, record: RepoRecord) -> None:
        """Nothing to do."""

    def forget(self, oid: str) -> None:
        """Nothing to do."""

    def remembered(self) -> Iterator[tuple[RepoRecord, BaseRepo]]:
        return iter(())

    def keep_text(self, name: str, text: str) -> None:
        """Nothing to do."""

    def text(self, name: str) -> str | None:
        return None

    def close(self) -> None:
        """Nothing to do."""


class DiskLedger:
    """Remembers in a folder; one process at a time. Raises OSError when another one has it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._repos = root / "repos"
        self._repos.mkdir(parents=True, exist_ok=True)
        self._held = (root / "in-use").open("w")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._held.close()
            raise OSError(errno.EBUSY, f"another sandbox has the folder {root}") from None
        self._clear_leftovers()

    def close(self) -> None:
        self._held.close()

    def _clear_leftovers(self) -> None:
        """Remove what a killed process was writing: git would take its locks for those of a living one."""
        for leftover in [*self._repos.glob("*/git/**/*.lock"), *self._repos.glob("*/record.json.*")]:
            leftover.unlink()

    def create_git(self, oid: str) -> BaseRepo:
        (self._repos / oid).mkdir()
        return Repo.init_bare(self._repos / oid / "git", mkdir=True, default_branch=b"main")

    def keep(self, record: RepoRecord) -> None:
        _replace(self._repos / record.oid / "record.json", record.model_dump_json(indent=1))

    def forget(self, oid: str) -> None:
        # First the record: from here on the folder is one that was never finished.
        (self._repos / oid / "record.json").unlink(missing_ok=True)
        shutil.rmtree(self._repos / oid, ignore_errors=True)

    def remembered(self) -> Iterator[tuple[RepoRecord, BaseRepo]]:
        records = []
        for folder in self._repos.iterdir():
            if (folder / "record.json").is_file():
                records.append(RepoRecord.model_validate_json((folder / "record.json").read_bytes()))
            else:
                shutil.rmtree(folder, ignore_errors=True)
        for record in sorted(records, key=lambda record: (record.created_at, record.oid)):
            yield record, Repo(self._repos / record.oid / "git")

    def keep_text(self, name: str, text: str) -> None:
        _replace(self._root / name, text)

    def text(self, name: str) -> str | None:
        path = self._root / name
        return path.read_text() if path.is_file() else None


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fresh.write_text(text)
    fresh.replace(path)
