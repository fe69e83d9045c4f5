"""What a client's cache calls its files, as a manifest: for operators who trust that cache, where no Hub is.

A cache knows which commit a branch was at, what the files of its snapshots are called and which blob each is, which
were found missing, and since 1.22 the whole listing of a commit (`huggingface_hub`: guides/manage-cache,
`_tree_cache.py`).
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hfproxy import __version__
from hfproxy.features.stocking.manifest import FORMAT, BundledAnswer, BundledFile, BundledRepo, Manifest
from hfproxy.features.stocking.questions import info_questions, tree_questions
from hfproxy.storage.blobs import Algorithm, BlobKey
from hfproxy.upstream.headers import REPO_COMMIT
from hfproxy.upstream.lfs import pointer
from hfproxy.upstream.refs import BadReference, RepoRef, RepoType, is_commit_hash

_TYPES = {"models": RepoType.MODEL, "datasets": RepoType.DATASET, "spaces": RepoType.SPACE, "kernels": RepoType.KERNEL}
# What the Hub and its CDN say of files (contract 4.2): regular ones are text, whatever they call themselves.
_REGULAR_TYPE, _LFS_TYPE = "text/plain; charset=utf-8", "application/octet-stream"
_INCOMPLETE = "hfproxy; This listing was made from a client's cache: it holds only what was downloaded there."


class _Listed(BaseModel):
    """A file in a kept listing."""

    size: int
    blob_id: str
    lfs_sha256: str | None = None


class _Listing(BaseModel):
    """The listing of a commit, as the client keeps it."""

    format_version: int
    files: dict[str, _Listed]


@dataclass(frozen=True, slots=True)
class Named:
    """What can be told of a cache. incomplete: those of which no listing is kept, so that files may lack."""

    manifest: Manifest
    bodies: dict[str, bytes]
    incomplete: tuple[BundledRepo, ...]


def names_in(cache: Path, kept: Mapping[BlobKey, int], *, only: Collection[RepoRef] = ()) -> Named:
    """The commits of a cache with the files whose bytes are kept, and answers to what clients ask about them.

    kept: the sizes of what is kept. only: whose names to tell, all where it is empty.
    """
    repos, bodies, incomplete = list[BundledRepo](), dict[str, bytes](), list[BundledRepo]()
    for folder in sorted(cache.iterdir()):
        repo = _repo_of(folder.name)
        if repo is None or (only and repo.folded not in only):
            continue
        points = dict(_points(folder / "refs"))
        for snapshot in sorted((folder / "snapshots").glob("*")):
            if is_commit_hash(snapshot.name) and snapshot.is_dir():
                commit = _Commit(repo, folder, snapshot, points)
                bundled = commit.bundled(kept, bodies)
                if bundled is not None:
                    repos.append(bundled)
                    incomplete += [bundled] if commit.listing is None else []
    manifest = Manifest(format=FORMAT, version=1, made_by=f"hfproxy {__version__}", repositories=repos)
    return Named(manifest, bodies, tuple(incomplete))


class _Commit:
    """One commit of a repository in the cache."""

    def __init__(self, repo: RepoRef, folder: Path, snapshot: Path, points: dict[str, tuple[str, float]]) -> None:
        self.repo, self._folder, self._snapshot = repo, folder, snapshot
        self._hash = snapshot.name.lower()
        self._revisions = {name: at_s for name, (commit, at_s) in points.items() if commit == self._hash}
        self._said_at_s = max(self._revisions.values(), default=snapshot.stat().st_mtime)
        self.listing = _listing(folder / "trees" / f"{snapshot.name}.json")

    def bundled(self, kept: Mapping[BlobKey, int], bodies: dict[str, bytes]) -> BundledRepo | None:
        """None where nothing of it is kept."""
        try:
            files = [file for path in _files_in(self._snapshot) if (file := self._file(path, kept)) is not None]
            if not files:
                return None
            return BundledRepo(
                repo=str(self.repo),
                commit_hash=self._hash,
                access="restricted",
                said_at_s=self._said_at_s,
                revisions=self._revisions,
                files=files,
                absent=[*_files_in(self._folder / ".no_exist" / self._snapshot.name)],
                answers=[*self._answers(files, bodies)],
            )
        except ValidationError:
            return None  # a name that no repository has

    def _file(self, path: str, kept: Mapping[BlobKey, int]) -> BundledFile | None:
        file = self._snapshot / path
        # A link's target is the hash; without links the listing tells it.
        key = BlobKey.from_etag(file.readlink().name) if file.is_symlink() else self._listed_key(path)
        if key is None or key not in kept or not file.is_file():
            return None
        is_lfs = key.algorithm is Algorithm.SHA256
        return BundledFile(
            path=path,
            blob=str(key),
            size_bytes=kept[key],
            is_lfs=is_lfs,
            content_type=_LFS_TYPE if is_lfs else _REGULAR_TYPE,
            content_disposition=None,
        )

    def _listed_key(self, path: str) -> BlobKey | None:
        listed = self.listing.files.get(path) if self.listing is not None else None
        return BlobKey.from_etag(listed.lfs_sha256 or listed.blob_id) if listed is not None else None

    def _answers(self, files: list[BundledFile], bodies: dict[str, bytes]) -> Iterator[BundledAnswer]:
        entries = _entries_of_listing(self.listing) if self.listing is not None else _entries_of_files(files)
        info = {"id": self.repo.repo_id, "sha": self._hash, "siblings": [{"rfilename": e["path"]} for e in entries]}
        revisions = (*self._revisions, self._hash)
        headers = [("Content-Type", "application/json; charset=utf-8"), (REPO_COMMIT, self._hash)]
        headers += [("X-HF-Warning", _INCOMPLETE)] if self.listing is None else []
        for said, targets in (
            (info, info_questions(self.repo, revisions)),
            (entries, tree_questions(self.repo, revisions)),
        ):
            body = json.dumps(said).encode()
            digest = hashlib.sha256(body).hexdigest()
            bodies[digest] = body
            for target in targets:
                yield BundledAnswer(target=target, headers=headers, said_at_s=self._said_at_s, body_sha256=digest)


def _entries_of_listing(listing: _Listing) -> list[dict[str, Any]]:
    """A tree as the Hub tells it (contract 3.3), without offers of Xet."""
    return [
        _entry(path, listed.size, listed.blob_id, listed.lfs_sha256) for path, listed in sorted(listing.files.items())
    ]


def _entries_of_files(files: list[BundledFile]) -> list[dict[str, Any]]:
    entries = []
    for file in files:
        digest = file.blob.partition("-")[2]
        oid = BlobKey.of(pointer(digest, file.size_bytes), Algorithm.GIT).digest if file.is_lfs else digest
        entries.append(_entry(file.path, file.size_bytes, oid, digest if file.is_lfs else None))
    return entries


def _entry(path: str, size_bytes: int, oid: str, sha256: str | None) -> dict[str, Any]:
    entry = {"type": "file", "oid": oid, "size": size_bytes, "path": path}
    if sha256 is None:
        return entry
    return entry | {"lfs": {"oid": sha256, "size": size_bytes, "pointerSize": len(pointer(sha256, size_bytes))}}


def _repo_of(folder: str) -> RepoRef | None:
    kind, *name = folder.split("--")
    try:
        return RepoRef.parse(_TYPES[kind], "/".join(name)) if kind in _TYPES else None
    except BadReference:
        return None


def _points(refs: Path) -> Iterator[tuple[str, tuple[str, float]]]:
    """Where branches, tags and pull requests pointed, and when the client last heard so."""
    for name in _files_in(refs):
        text = (refs / name).read_text(errors="replace").strip()
        if is_commit_hash(text):
            yield name, (text.lower(), (refs / name).stat().st_mtime)


def _listing(file: Path) -> _Listing | None:
    try:
        listing = _Listing.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    return listing if listing.format_version == 1 else None


def _files_in(folder: Path) -> list[str]:
    """The files below a folder, by their path in it."""
    return [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file()]
