"""Finds out what a name means: from what is kept while that is fresh, else from the Hub, with one question for all."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from hfproxy.errors import HubFailed, HubMisspoke, HubRefused, HubSentWrongBytes, NotKept, UpstreamError
from hfproxy.features.files.rights import Rights, audience
from hfproxy.storage.pointers import Absence, FileEntry, Pointer, Pointers
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.downloads import FileFacts, Way
from hfproxy.upstream.headers import REPO_COMMIT
from hfproxy.upstream.refs import FileRef, RepoRef, is_commit_hash

log = structlog.get_logger(__name__)

# After the Hub could not be asked, what is kept is served for so long without asking again.
_AWAY_FOR_S = 5.0
_NO_ACCESS = frozenset({401, 403, 404})
_TOO_MANY_REQUESTS = 429
HIT = "hit"
_ENTRY_NOT_FOUND = "EntryNotFound"
_NOT_ABOUT_RIGHTS = frozenset({_ENTRY_NOT_FOUND, "RevisionNotFound"})


class Describes(Protocol):
    async def describe(self, way: Way) -> FileFacts:
        """As `HubFiles.describe`."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that the caller may read; `status` is what `Cache-Status` says of the name (RFC 9211)."""

    entry: FileEntry
    way: Way
    status: str

    @property
    def stale(self) -> bool:
        """Whether the Hub could not be asked."""
        return "ttl=-1" in self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How long what is kept is good for, in seconds."""

    revision_s: float
    stale_s: float
    offline: bool = False


class Lookup:
    """Answers HEAD questions. Who asks for what they may not see gets what the Hub says to them, and nothing else."""

    def __init__(
        self,
        *,
        hub: Describes,
        pointers: Pointers,
        rights: Rights,
        freshness: Freshness,
        recall_rights: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        self._recall_rights = recall_rights
        # Hears of refusals; set by who keeps other answers about repositories.
        self.on_refused: Callable[[str, Credential], Awaitable[None]] | None = None
        self._hub, self._pointers, self._rights, self._freshness = hub, pointers, rights, freshness
        self._asking: dict[tuple[str, ...], asyncio.Task[FileEntry | Absence]] = {}
        self._away_until = 0.0

    def recall(self, ref: FileRef, repo: str, credential: Credential) -> Found | None:
        """The file, if all that is needed is in memory and fresh; the quick way."""
        entry = self.entry_at_once(ref, repo, credential)
        return Found(entry, Way(ref, credential), HIT) if entry is not None else None

    def entry_at_once(self, ref: FileRef, repo: str, credential: Credential) -> FileEntry | None:
        """What `recall` recalls; no more is said of it than that it is a hit."""
        commit_hash = self._fresh_commit(ref, self._pointers.known_revision(repo, ref.revision))
        if commit_hash is None or not self._rights.allows(repo, commit_hash, ref.path, credential):
            return None
        entry = self._pointers.known_file(repo, commit_hash, ref.path)
        return entry if isinstance(entry, FileEntry) else None

    async def find(self, ref: FileRef, credential: Credential, headers: Iterable[tuple[str, str]] = ()) -> Found:
        """The file. Raises HubRefused as the Hub says it, UpstreamError where neither Hub nor memory can tell."""
        repo = str(ref.repo.folded)
        way = Way(ref, credential, tuple(headers))
        if (entry := await self._kept(ref, repo, credential)) is not None:
            return self._found(entry, way, HIT)
        if self._freshness.offline or time.monotonic() < self._away_until:
            if (entry := await self._stale(ref, repo, credential)) is not None:
                return self._found(entry, way, self._stale_status(None))
            if self._freshness.offline:
                raise NotKept(f"{ref.repo} {ref.path} is not kept, and this gateway is offline")
        others = self._asking.get((repo, ref.revision, audience(credential)))
        if others is not None and await self._is_told_by_revision(ref, repo, credential):
            # Somebody asks after the same revision for another file: their answer may be all we need.
            await asyncio.wait([others])
            if (entry := await self._kept(ref, repo, credential)) is not None:
                return self._found(entry, way, "hit; collapsed")
        try:
            return self._found(await self._ask(repo, way), way, "fwd=miss; stored")
        except UpstreamError as error:
            if not _away(error) or (entry := await self._stale(ref, repo, credential)) is None:
                raise
            self._away_until = time.monotonic() + _AWAY_FOR_S
            log.warning("pointer.stale", repo=repo, revision=ref.revision, reason=error.code)
            return self._found(entry, way, self._stale_status(error))

    def refuse(self, repo: str, credential: Credential) -> None:
        """Takes back what was remembered of this caller's right to a repository: the Hub refused it elsewhere."""
        self._rights.refuse(repo, credential)

    async def forget(self, ref: RepoRef) -> None:
        """Forgets what may have changed of a repository; answers that are on their way do not count as fresh.

        Without a namespace it is the caller's own, whose name we do not know: all of that name are forgotten.
        """
        folded = ref.folded
        repos = [str(folded)]
        if folded.namespace is None:
            repos += await self._pointers.named(folded.name)
        for repo in repos:
            self._rights.forget(repo)
            for key in [key for key in self._asking if key[0] == repo]:
                del self._asking[key]
            await self._pointers.forget(repo)

    def _found(self, entry: FileEntry | Absence, way: Way, status: str) -> Found:
        if isinstance(entry, Absence):
            raise HubRefused(
                "Entry not found",
                status=404,
                hub_code=_ENTRY_NOT_FOUND,
                headers={REPO_COMMIT: entry.commit_hash, "Cache-Status": f"hfproxy; {status}"},
            )
        return Found(entry, way, status)

    def _fresh_commit(self, ref: FileRef, pointer: Pointer | None) -> str | None:
        if is_commit_hash(ref.revision):
            return ref.revision.lower()
        if pointer is None or pointer.age_s >= self._freshness.revision_s:
            return None
        return pointer.commit_hash

    async def _kept(self, ref: FileRef, repo: str, credential: Credential) -> FileEntry | Absence | None:
        """What is kept, fresh, and this caller's to see."""
        pointer = None if is_commit_hash(ref.revision) else await self._pointers.revision(repo, ref.revision)
        commit_hash = self._fresh_commit(ref, pointer)
        if commit_hash is None or not self._rights.allows(repo, commit_hash, ref.path, credential):
            return None
        return await self._pointers.file(repo, commit_hash, ref.path)

    async def _stale(self, ref: FileRef, repo: str, credential: Credential) -> FileEntry | Absence | None:
        """What was true when the Hub was last asked, for whom it was true."""
        if is_commit_hash(ref.revision):
            commit_hash = ref.revision.lower()
        else:
            pointer = await self._pointers.revision(repo, ref.revision)
            if pointer is None or (pointer.age_s >= self._freshness.stale_s and not self._freshness.offline):
                return None
            commit_hash = pointer.commit_hash
        if not self._rights.allowed_before(repo, commit_hash, ref.path, credential):
            if not self._freshness.offline or self._recall_rights is None:
                return None
            await self._recall_rights(repo, commit_hash)  # another process may have brought it in since
            if not self._rights.allowed_before(repo, commit_hash, ref.path, credential):
                return None
        return await self._pointers.file(repo, commit_hash, ref.path)

    def _stale_status(self, error: UpstreamError | None) -> str:
        return f"hit; ttl=-1; detail={error.code if error else 'offline' if self._freshness.offline else 'away'}"

    async def _ask(self, repo: str, way: Way) -> FileEntry | Absence:
        """Asks the Hub, once for all who want to know the same on the same behalf; outlives who asked first."""
        ref, who = way.file, audience(way.credential)
        key = (repo, ref.revision, ref.path, who)
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._describe(repo, way), name=f"describe {ref.path}")
            keys: list[tuple[str, ...]] = [key]
            if (repo, ref.revision, who) not in self._asking and self._is_revalidation(repo, ref):
                keys.append((repo, ref.revision, who))
            for each in keys:
                self._asking[each] = task
            task.add_done_callback(lambda ended: self._answered(keys, ended))
        return await asyncio.shield(task)

    async def _is_told_by_revision(self, ref: FileRef, repo: str, credential: Credential) -> bool:
        """Whether all that lacks is to hear that the revision is what it was, and open to this caller."""
        pointer = None if is_commit_hash(ref.revision) else await self._pointers.revision(repo, ref.revision)
        fresh = self._fresh_commit(ref, pointer)
        commit_hash = fresh or (pointer.commit_hash if pointer is not None else None)
        if commit_hash is None or (fresh and self._rights.allows(repo, fresh, ref.path, credential)):
            return False  # what the file is lacks, and nobody else asks that
        return await self._pointers.file(repo, commit_hash, ref.path) is not None

    def _is_revalidation(self, repo: str, ref: FileRef) -> bool:
        return is_commit_hash(ref.revision) or self._pointers.known_revision(repo, ref.revision) is not None

    def _answered(self, keys: Iterable[tuple[str, ...]], task: asyncio.Task[FileEntry | Absence]) -> None:
        for key in keys:
            if self._asking.get(key) is task:
                del self._asking[key]
        if not task.cancelled():
            task.exception()  # whoever waits gets it; if all went away, nobody needs to know

    async def _describe(self, repo: str, way: Way) -> FileEntry | Absence:
        ref, generation = way.file, self._pointers.generation(repo)
        try:
            facts = await self._hub.describe(way)
        except HubRefused as error:
            commit_hash = error.headers.get(REPO_COMMIT)
            if error.status != 404 or error.hub_code != _ENTRY_NOT_FOUND or commit_hash is None:
                if error.status in _NO_ACCESS and error.hub_code not in _NOT_ABOUT_RIGHTS:
                    self._rights.refuse(repo, way.credential)
                    if self.on_refused is not None:
                        await self.on_refused(repo, way.credential)
                raise
            entry: FileEntry | Absence = Absence(commit_hash)
        else:
            entry = FileEntry(
                facts.commit_hash,
                facts.etag,
                facts.size_bytes,
                facts.is_lfs,
                facts.content_type,
                facts.content_disposition,
                facts.xet_hash,
            )
        self._away_until = 0.0
        if generation == self._pointers.generation(repo):
            self._rights.grant(repo, entry.commit_hash, ref.path, way.credential)
            if not is_commit_hash(ref.revision):
                self._pointers.point(repo, ref.revision, entry.commit_hash, generation=generation)
        self._pointers.keep(repo, ref.path, entry)
        return entry


def _away(error: UpstreamError) -> bool:
    """Whether the Hub could not be asked, as opposed to having answered."""
    if isinstance(error, HubRefused):
        return error.status == _TOO_MANY_REQUESTS
    return not isinstance(error, HubMisspoke | HubSentWrongBytes) or isinstance(error, HubFailed)
