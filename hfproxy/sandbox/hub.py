"""The state of one sandbox Hub: accounts, repositories, large objects, and what was asked of it."""

import asyncio
import secrets
import shutil
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from hfproxy.upstream.refs import RepoRef, RepoType

from .accounts import Account, Accounts
from .bucket_feeds import Feeds
from .bucketed import KEPT_AS as BUCKETS_KEPT_AS
from .bucketed import Bucket, Buckets
from .callers import Caller
from .cas.service import Cas
from .cas.store import XetFile, XetStore
from .cas.tokens import Grant, Tokens
from .collected import KEPT_AS, Collections
from .config import SandboxConfig
from .delivering import Deliveries
from .discussed import Comment, Committed, Discussion, Status
from .downloads import Downloads
from .history import MAIN, HeadMoved, History, Signature
from .id_tokens import IdTokens
from .ledger import DiskLedger, Ledger, MemoryLedger
from .locks import FileLocks
from .logins import KEPT_AS as LOGINS_KEPT_AS
from .logins import Logins
from .merging import merge
from .notices import Notices, updated_refs
from .objects import LfsObjects
from .pulses import Pulses
from .record import Record
from .refusals import Conflict, RepoMissing
from .registry import Registry
from .repository import LfsRecord, RepoRecord, Repository
from .rights import Rights
from .signing import Signer
from .trouble import Troubles
from .uploads import Upload, Uploads
from .webhooks import KEPT_AS as WEBHOOKS_KEPT_AS
from .webhooks import Webhook, Webhooks

_LARGE = (
    *("7z", "arrow", "bin", "bz2", "ckpt", "ftz", "gz", "h5", "joblib", "lfs.*", "mlmodel", "model", "msgpack"),
    *("npy", "npz", "onnx", "ot", "parquet", "pb", "pickle", "pkl", "pt", "pth", "rar", "safetensors"),
    *("tar.*", "tar", "tflite", "tgz", "wasm", "xz", "zip", "zst"),
)
DEFAULT_GITATTRIBUTES = "".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text\n"
    for pattern in [*(f"*.{ending}" for ending in _LARGE), "saved_model/**/*", "*tfevents*"]
)


class Hub:
    """Everything a sandbox Hub knows. Handlers read and change it; it knows nothing of HTTP.

    Changes of one repository are made under its `lock`, so that a commit on a branch never loses another.
    """

    def __init__(self, config: SandboxConfig, ledger: Ledger, folder: Path, accounts: Accounts) -> None:
        self.config = config
        self.accounts = accounts
        self.rights = Rights(accounts)
        self.repos = Registry()
        by_xet = XetStore(folder / "xet")
        self.objects = LfsObjects(folder / "lfs", by_xet)
        self.asked = Record()
        self.url = ""
        """The Hub's own base URL, the CDN's and the Xet store's, known once they listen."""
        self.cdn_url = ""
        self.cas_url = ""
        self.collections = Collections(ledger.text(KEPT_AS))
        self.buckets = Buckets(ledger.text(BUCKETS_KEPT_AS))
        self.bucket_feeds = Feeds(self.now())
        self.webhooks = Webhooks(ledger.text(WEBHOOKS_KEPT_AS))
        self.logins = Logins(accounts, ledger.text(LOGINS_KEPT_AS), last_s=config.oauth_tokens_last_s, clock=self.now_s)
        self.id_tokens = IdTokens()
        self.deliveries = Deliveries(self._callable_webhook)
        self.pulses = Pulses()
        self.token_key = secrets.token_bytes(32)
        self.signer = Signer(secrets.token_bytes(32), lasts_s=config.signed_urls_last_s)
        self.cas = Cas(
            by_xet,
            self.objects,
            Tokens(self.token_key, self.now_s),
            grants_last_s=config.signed_urls_last_s,
            received=self._shard_received,
            clock=self.now_s,
        )
        self.uploads = Uploads(self.objects, last_s=config.signed_urls_last_s, received=self._upload_received)
        self.downloads = Downloads()
        self.file_locks = FileLocks()
        self.troubles = Troubles(config.troubles)
        self._ledger = ledger
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        for record, git in ledger.remembered():
            self.repos.add(Repository(record, History(git)))

    @classmethod
    def opened(cls, config: SandboxConfig) -> Self:
        """A Hub with what its folder remembers; `close` it."""
        accounts = Accounts.standard(config.accounts)
        if config.data is not None:
            return cls(config, DiskLedger(config.data), config.data, accounts)
        folder = Path(tempfile.mkdtemp(prefix="hfproxy-sandbox-"))
        hub = cls(config, MemoryLedger(), folder, accounts)
        hub._temporary = folder
        return hub

    _temporary: Path | None = None

    @property
    def folder(self) -> Path:
        """Where this Hub keeps files: `--data`, or a folder that goes with the process."""
        folder = self.config.data or self._temporary
        assert folder is not None
        return folder

    def close(self) -> None:
        """Close what is open and remove what was temporary."""
        for repo in self.repos:
            repo.history.close()
        self._ledger.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_s(self) -> float:
        return self.now().timestamp()

    @asynccontextmanager
    async def lock(self, repo: Repository) -> AsyncIterator[None]:
        """Held while a repository's refs change; at its end webhooks are told which did."""
        async with self._locks[repo.record.oid]:
            before = repo.history.refs("refs/") if self.webhooks else None
            yield
            if before is not None and (changed := updated_refs(before, repo.history.refs("refs/"))):
                self.announce(repo, "update", "repo.content", updatedRefs=changed)

    # Telling others

    @property
    def notices(self) -> Notices:
        return Notices(self.accounts, self.config.public_url or self.url)

    def announce(self, repo: Repository, action: str, scope: str, *, former: str | None = None, **facts: Any) -> None:
        """Call the webhooks that watch a repository, or its `former` id, and whose owners may see it."""
        names = [repo.repo_id, *([former] if former else [])]
        told = [hook for hook in self.webhooks if hook.wants(scope, repo, names)]
        for webhook in told:
            if self.rights.sees(Caller(self.accounts.named(webhook.owner)), repo):
                self.deliveries.offer(webhook, self.notices.event(repo, action, scope) | facts)

    def announce_discussion(
        self, repo: Repository, discussion: Discussion, action: str, comment: Comment | None = None
    ) -> None:
        """The same about a discussion, or about a comment in it."""
        scope = "discussion.comment" if comment else "discussion"
        self.announce(repo, action, scope, **self.notices.discussion(repo, discussion, comment))

    def _callable_webhook(self, oid: str) -> Webhook | None:
        found = self.webhooks.find(oid)
        return found if found and not found.disabled else None

    # Repositories

    def create_repo(
        self,
        ref: RepoRef,
        *,
        by: str,
        files: Mapping[str, bytes] | None = None,
        created_at: datetime | None = None,
        **facts: Any,
    ) -> Repository:
        """A new repository with the Hub's `initial commit`; `facts` are fields of RepoRecord. Raises Conflict."""
        if self.repos.find(ref.repo_type, ref.repo_id):
            raise Conflict(f"You already created this {ref.repo_type.value} repo")
        now = created_at or self.now()
        record = RepoRecord(
            repo_type=ref.repo_type, namespace=ref.namespace, name=ref.name, created_at=now, updated_at=now, **facts
        )
        repo = Repository(record, History(self._ledger.create_git(record.oid)))
        self.commit(
            repo, {".gitattributes": DEFAULT_GITATTRIBUTES.encode(), **(files or {})}, "initial commit", by=by, when=now
        )
        self.repos.add(repo)
        self.announce(repo, "create", "repo")
        return repo

    def find(self, repo_type: RepoType, repo_id: str) -> Repository:
        """The repository of that name in any case. Raises RepoMissing."""
        found = self.repos.find(repo_type, repo_id)
        if found is None:
            raise RepoMissing
        return found

    def keep(self, repo: Repository) -> None:
        """Remember a repository's record after a change."""
        self._ledger.keep(repo.record)
        self.pulses.beat(repo.record.oid)

    def delete_repo(self, repo: Repository) -> None:
        self.announce(repo, "delete", "repo")
        self.repos.remove(repo)
        self.pulses.beat(repo.record.oid)
        repo.history.close()
        self._ledger.forget(repo.record.oid)
        self.drop_unnamed(set(repo.record.lfs))

    def move_repo(self, repo: Repository, namespace: str, name: str) -> None:
        """Give a repository another name; the one it had redirects. Whoever calls has seen that it is free."""
        former = repo.repo_id
        self.repos.remove(repo)
        repo.record.old_ids = [*repo.record.old_ids, repo.repo_id]
        repo.record.namespace, repo.record.name = namespace, name
        repo.record.updated_at = self.now()
        self.keep(repo)
        self.repos.add(repo)
        self.announce(repo, "move", "repo", former=former, **self.notices.moved_to(repo))

    def duplicate_repo(self, source: Repository, ref: RepoRef, *, by: str, **facts: Any) -> Repository:
        """A new repository whose first commit has the files of another's `main`, large ones included."""
        copy = self.create_repo(ref, by=by, **facts)
        copy.record.lfs = dict(source.record.lfs)
        if source.head is not None:
            files = {entry.path: source.history.read(entry.oid) for entry in source.history.files(source.head)}
            self.commit(copy, {".gitattributes": None, **files}, f"Duplicate from {source.repo_id}", by=by)
        return copy

    # Content

    def commit(
        self,
        repo: Repository,
        changes: Mapping[str, bytes | None],
        message: str,
        *,
        by: str,
        ref: str = MAIN,
        when: datetime | None = None,
    ) -> str:
        """Commit whole contents (None deletes) on top of a branch; the new commit's hash.

        Large files go in as the bytes of their `Pointer`, after `lfs_received`. Raises HeadMoved.
        """
        ids = {path: None if content is None else repo.history.add_blob(content) for path, content in changes.items()}
        head = repo.history.ref(ref)
        commit_hash = repo.history.commit(
            ref, ids, by=self.signature(by, when), message=message, parent=head, moving_from=head
        )
        repo.record.updated_at = when or self.now()
        self.keep(repo)
        return commit_hash

    def touch(self, repo: Repository) -> None:
        """Remember that a repository's content changed now."""
        repo.record.updated_at = self.now()
        self.keep(repo)

    def signature(self, name: str, when: datetime | None = None) -> Signature:
        return Signature(name, when or self.now())

    def lfs_received(self, repo: Repository, oid: str, size_bytes: int, *, by: str | None) -> None:
        """Record that a repository holds a large file whose bytes are in `objects`."""
        repo.record.lfs[oid] = LfsRecord(size_bytes=size_bytes, pushed_at=self.now(), pusher=by)
        self.keep(repo)

    def drop_unnamed(self, oids: set[str]) -> None:
        """Remove the bytes of large files that neither a repository nor a bucket holds any more."""
        held = {oid for repo in self.repos for oid in repo.record.lfs}
        held |= {oid for bucket in self.buckets for oid in bucket.contents.values()}
        for oid in oids - held:
            self.objects.remove(oid)

    def open_discussion(
        self, repo: Repository, title: str, text: str, *, by: str, base: str | None = None, status: Status = "open"
    ) -> Discussion:
        """A new discussion, or a pull request against the ref `base`; both are counted together."""
        now = self.now()
        repo.record.discussion_count += 1
        opened = Discussion(
            num=repo.record.discussion_count, title=title, author=by, created_at=now, base=base, status=status
        )
        opened.say(text, by=by, at=now)
        repo.record.discussions = [*repo.record.discussions, opened]
        self.announce_discussion(repo, opened, "create")
        return opened

    def merge_pull_request(self, repo: Repository, pull_request: Discussion, *, by: str) -> str:
        """Put a pull request's changes on top of its base as one commit; its hash. Raises Conflict."""
        base = pull_request.base or MAIN
        ours, theirs = repo.commit_hash(base), repo.commit_hash(pull_request.ref)
        merged = merge(repo.history, ours, theirs)
        if merged.conflicts:
            raise Conflict("This pull request has conflicts", filesWithConflicts=list(merged.conflicts))
        commits = [
            f"- {event.subject} ({event.commit_hash})" for event in pull_request.events if isinstance(event, Committed)
        ]
        message = "\n".join([f"{pull_request.title} (#{pull_request.num})", "", *commits]).strip()
        commit_hash = repo.history.commit(
            base, merged.changes, by=self.signature(by), message=message, parent=ours, moving_from=ours
        )
        pull_request.merge_commit = commit_hash
        self.touch(repo)
        return commit_hash

    def _upload_received(self, upload: Upload) -> None:
        # The repository may have been deleted while its file came in.
        if any(repo is upload.repo for repo in self.repos):
            self.lfs_received(upload.repo, upload.oid, upload.size_bytes, by=upload.by)

    def _shard_received(self, grant: Grant, file: XetFile) -> None:
        holder = self.holder(grant.repo_oid)
        if isinstance(holder, Bucket):
            holder.contents[file.name] = file.sha256
            self.keep_buckets()
        elif holder is not None:
            self.lfs_received(holder, file.sha256, file.size_bytes, by=grant.user)

    def holder(self, oid: str) -> Repository | Bucket | None:
        """The repository or bucket of an `_id`, which tokens for the Xet store are for."""
        return self.buckets.by_id(oid) or next((repo for repo in self.repos if repo.record.oid == oid), None)

    def owner_of(self, repo: Repository) -> Account | None:
        return self.accounts.named(repo.owner)

    # Buckets

    def keep_buckets(self) -> None:
        """Remember all buckets after a change."""
        self.keep_text(BUCKETS_KEPT_AS, self.buckets.text())

    def delete_bucket(self, bucket: Bucket) -> None:
        self.buckets.remove(bucket)
        self.bucket_feeds.forget(bucket)
        self.keep_buckets()
        self.pulses.beat(bucket.oid)
        self.drop_unnamed(set(bucket.contents.values()))

    def move_bucket(self, bucket: Bucket, namespace: str, name: str) -> None:
        """Give a bucket another name; the one it had redirects. Whoever calls has seen that it is free."""
        bucket.old_ids.append(bucket.repo_id)
        bucket.namespace, bucket.name, bucket.updated_at = namespace, name, self.now()
        self.keep_buckets()

    # What belongs to no repository

    def keep_text(self, name: str, text: str) -> None:
        self._ledger.keep_text(name, text)

    def text(self, name: str) -> str | None:
        return self._ledger.text(name)


__all__ = ["DEFAULT_GITATTRIBUTES", "HeadMoved", "Hub"]
