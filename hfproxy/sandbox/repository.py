"""One repository of the sandbox: what is recorded about it, and its history."""

import secrets
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hfproxy.upstream.refs import RepoRef, RepoType

from .discussed import Discussion
from .history import MAIN, Entry, History
from .refusals import EntryMissing, Refusal

Visibility = Literal["public", "private", "protected"]
Gate = Literal["auto", "manual", False]
RequestStatus = Literal["pending", "accepted", "rejected"]


class _Record(BaseModel):
    model_config = ConfigDict(validate_assignment=True)


class LfsRecord(_Record):
    """A large file that was uploaded to this repository."""

    size_bytes: int
    pushed_at: datetime
    pusher: str | None = None


class AccessRequest(_Record):
    """Somebody's wish to read a gated repository."""

    request_id: str = Field(default_factory=lambda: secrets.token_hex(12))
    user: str
    status: RequestStatus = "pending"
    asked_at: datetime
    fields: dict[str, str] = Field(default_factory=dict)
    granted_by: str | None = None
    reason: str | None = None


class Like(_Record):
    user: str
    at: datetime


class RepoRecord(_Record):
    """All that is kept of a repository beside its git objects and refs."""

    oid: str = Field(default_factory=lambda: secrets.token_hex(12))
    """The Hub's `_id`: stays the same when the name changes."""
    repo_type: RepoType
    namespace: str | None
    name: str
    created_at: datetime
    updated_at: datetime
    visibility: Visibility = "public"
    gated: Gate = False
    disabled: bool = False
    old_ids: list[str] = Field(default_factory=list)
    """Former `owner/name`s that redirect here."""
    access_requests: list[AccessRequest] = Field(default_factory=list)
    lfs: dict[str, LfsRecord] = Field(default_factory=dict)
    likes: list[Like] = Field(default_factory=list)
    likes_of_others: int = 0
    """Likes of people who have no account here: what a seed says."""
    downloads: int = 0
    downloads_all_time: int = 0
    trending_score: int = 0
    settings: dict[str, Any] = Field(default_factory=dict)
    """Of `PUT settings`, what the sandbox keeps and tells but does not act on."""
    space: dict[str, Any] = Field(default_factory=dict)
    """Of a Space: sdk, hardware, secrets, variables and so on."""
    discussion_count: int = 0
    """The last number given to a discussion or pull request."""
    discussions: list[Discussion] = Field(default_factory=list)
    resource_group: str | None = None
    region: str | None = None
    one_piece_bytes: int | None = None
    """Larger objects come in parts; None: as everywhere."""


class Repository:
    """A record and a history. Changing the record is kept by `Hub.keep`, changing the history keeps itself."""

    def __init__(self, record: RepoRecord, history: History) -> None:
        self.record = record
        self.history = history
        self.described: tuple[str | None, list[Entry], dict[str, Any] | None] | None = None
        """What `Description` last read from git: a commit, its files, its card."""

    @property
    def ref(self) -> RepoRef:
        return RepoRef(self.record.repo_type, self.record.namespace, self.record.name)

    @property
    def repo_type(self) -> RepoType:
        return self.record.repo_type

    @property
    def kind(self) -> str:
        return self.repo_type.value

    @property
    def repo_id(self) -> str:
        return self.ref.repo_id

    @property
    def owner(self) -> str:
        """The account it belongs to; of an old model without namespace, the Hub itself."""
        return self.record.namespace or "huggingface"

    @property
    def is_private(self) -> bool:
        return self.record.visibility == "private"

    @property
    def is_disabled(self) -> bool:
        return self.record.disabled

    @property
    def head(self) -> str | None:
        """The newest commit of `main`."""
        return self.history.ref(MAIN)

    @property
    def like_count(self) -> int:
        return self.record.likes_of_others + len(self.record.likes)

    def commit_hash(self, revision: str | None = None) -> str:
        """The commit that a revision means, `main` by default. Raises RevisionMissing."""
        return self.history.resolve(revision or "main")

    def file(self, commit_hash: str, path: str) -> Entry:
        """The file at a path of a commit. Raises EntryMissing, also for a folder."""
        entry = self.history.entry(commit_hash, path)
        if entry is None or entry.is_folder:
            raise EntryMissing(commit_hash)
        return entry

    def discussion(self, num: int | str) -> Discussion:
        """The discussion or pull request of that number. Raises Refusal."""
        found = next((each for each in self.record.discussions if str(each.num) == str(num)), None)
        if found is None:
            raise Refusal("Discussion not found", status=404)
        return found

    def pull_request_at(self, ref: str) -> Discussion | None:
        """The pull request whose commits are at a full ref name."""
        return next((each for each in self.record.discussions if each.is_pull_request and each.ref == ref), None)

    def access_of(self, user: str | None) -> RequestStatus | None:
        """How a user's request to read this gated repository stands; None when there was none."""
        return next((asked.status for asked in self.record.access_requests if asked.user == user), None)
