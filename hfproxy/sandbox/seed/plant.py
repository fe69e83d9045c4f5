"""Puts the demo's repositories into a Hub that has none, with commit hashes that are the same everywhere."""

import hashlib
from datetime import datetime
from functools import cache
from typing import Final

from dulwich.attrs import GitAttributes

from hfproxy.upstream.refs import RepoType

from ..accounts import Account
from ..history import MAIN
from ..hub import DEFAULT_GITATTRIBUTES, Hub
from ..pointers import Pointer
from ..repository import AccessRequest, LfsRecord, Repository
from ..upload_modes import attributes_of, upload_mode
from .catalogue import CATALOGUE, ORGANISATIONS
from .plan import PlannedCommit, PlannedRepo

_REMEMBERED_AS: Final = "seed.txt"
_DEMO: Final = "demo"
# Pictures and sounds are large files in data sets only, as in the `.gitattributes` that the Hub gives those.
_MEDIA: Final = ("aac", "flac", "mp3", "ogg", "wav", "bmp", "gif", "png", "tiff", "jpg", "jpeg", "webp", "mp4", "webm")


def plant(hub: Hub) -> None:
    """Plant what the Hub's configuration asks for, once; a Hub that was planted keeps the demo's organisations."""
    planted_before = hub.text(_REMEMBERED_AS) == _DEMO
    if hub.config.seed != _DEMO and not planted_before:
        return
    for name, (fullname, member) in ORGANISATIONS.items():
        hub.accounts.add(Account(name=name, kind="org", fullname=fullname, members={member: "admin"}))
    if planted_before or any(True for _ in hub.repos):
        return
    for planned in CATALOGUE:
        _plant_repo(hub, planned)
    hub.keep_text(_REMEMBERED_AS, _DEMO)


def _plant_repo(hub: Hub, planned: PlannedRepo) -> None:
    repo = hub.create_repo(
        planned.ref,
        by=planned.author,
        files={".gitattributes": _gitattributes(planned.ref.repo_type).encode()},
        created_at=planned.created_at,
        oid=hashlib.sha256(str(planned.ref).encode()).hexdigest()[:24],
        visibility="private" if planned.private else "public",
        gated=planned.gated,
        downloads=planned.downloads,
        downloads_all_time=planned.downloads * 7 + planned.likes,
        likes_of_others=planned.likes,
        trending_score=planned.trending_score,
        space={"sdk": planned.sdk} if planned.sdk else {},
        access_requests=[
            AccessRequest(user=user, status="accepted", asked_at=planned.created_at) for user in planned.granted
        ],
    )
    attributes = _attributes(planned.ref.repo_type)
    for when, commit in planned.commits():
        _plant_commit(hub, repo, commit, attributes, by=planned.author, when=when)


def _plant_commit(
    hub: Hub, repo: Repository, commit: PlannedCommit, attributes: GitAttributes, *, by: str, when: datetime
) -> None:
    ref = f"refs/heads/{commit.branch}"
    if ref != MAIN and repo.history.ref(ref) is None:
        repo.history.set_ref(ref, repo.commit_hash())
    changes: dict[str, bytes | None] = dict.fromkeys(commit.removed)
    for path, content in commit.put.items():
        large = upload_mode(path, len(content), "", attributes) == "lfs"
        changes[path] = _kept(hub, repo, content, by, when) if large else content
    commit_hash = hub.commit(repo, changes, commit.title, by=by, ref=ref, when=when)
    if commit.tag:
        repo.history.tag(commit.tag, commit_hash, commit.title, hub.signature(by, when))


def _kept(hub: Hub, repo: Repository, content: bytes, by: str, when: datetime) -> bytes:
    """The pointer to a large file that is now among the Hub's objects."""
    oid = hub.objects.put(content)
    repo.record.lfs[oid] = LfsRecord(size_bytes=len(content), pushed_at=when, pusher=by)
    return bytes(Pointer(oid, len(content)))


@cache
def _attributes(repo_type: RepoType) -> GitAttributes:
    return attributes_of(_gitattributes(repo_type).encode())


def _gitattributes(repo_type: RepoType) -> str:
    media = _MEDIA if repo_type is RepoType.DATASET else ()
    return DEFAULT_GITATTRIBUTES + "".join(f"*.{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in media)
