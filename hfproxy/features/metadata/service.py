"""Answers questions about repositories from what is kept while it is fresh, else from the Hub, once for all who ask."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from hfproxy.errors import HubRefused, NotKept, UpstreamError
from hfproxy.features.files.rights import BROUGHT, EVERYBODY, audience
from hfproxy.features.metadata.models import AnswerKey, KeptAnswer, error_code, lasts
from hfproxy.features.metadata.store import AnswerStore
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import HubRef

log = structlog.get_logger(__name__)

_TOO_MANY_REQUESTS = 429
_NOT_ABOUT_RIGHTS = frozenset({"EntryNotFound", "RevisionNotFound"})
# No method of HTTP: when the Hub last refused a repository to somebody is kept under it.
_REFUSED = "REFUSED"
_LARGEST_KEPT_BYTES = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the Hub said: kept if it lasts, told in any case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def away(self) -> bool:
        """Whether the Hub said no more than that it cannot say anything now."""
        return self.status == _TOO_MANY_REQUESTS or self.status >= 500

    @property
    def refuses(self) -> bool:
        """Whether it said that the caller may not see the repository, or that there is none."""
        named = error_code(self.headers) in _NOT_ABOUT_RIGHTS
        return self.status in {401, 403} or (self.status == 404 and not named)


Ask = Callable[[], Awaitable[Spoken]]


class MetadataService:
    """Keeps answers of 200, and of 404 for a path that is not there; every other is told and forgotten."""

    def __init__(
        self,
        *,
        store: AnswerStore,
        fresh_s: float,
        stale_s: float,
        offline: bool,
        refused: Callable[[str, Credential], None],
    ) -> None:
        self._tell_refused = refused
        self._store, self._fresh_s, self._stale_s, self._offline = store, fresh_s, stale_s, offline
        self._asking: dict[str, asyncio.Task[Spoken]] = {}
        # Counts the writes: what was asked before one may be said as it was before it.
        self._generation = 0

    async def answer(self, key: AnswerKey, credential: Credential, ask: Ask) -> tuple[Spoken, str]:
        """The answer, and what `Cache-Status` says of it. Raises UpstreamError, NotKept."""
        kept = await self._store.find(key)
        if kept is not None and kept.younger_than(self._fresh_s):
            return _as_said(kept), "hit"
        # A caller's own token may have been revoked while the Hub was away, and nobody here can tell.
        usable = kept if credential.owner != "caller" and kept and kept.younger_than(self._stale_s) else None
        usable = usable if usable and await self._is_theirs(key, usable) else None
        if self._offline:
            usable = usable or await self._said_to_others(key, credential)
            if usable is None:
                raise NotKept(f"{key.target} is not kept, and this gateway is offline")
            return _as_said(usable), "hit; ttl=-1; detail=offline"
        try:
            spoken, status = await self._ask_once(key, credential, ask)
        except UpstreamError as error:
            if usable is None or isinstance(error, HubRefused):
                raise
            log.warning("pointer.stale", repo=key.repo, revision=key.target, reason=error.code)
            return _as_said(usable), f"hit; ttl=-1; detail={error.code}"
        if spoken.away and usable is not None:
            log.warning("pointer.stale", repo=key.repo, revision=key.target, reason=f"HTTP {spoken.status}")
            return _as_said(usable), f"hit; ttl=-1; detail=HTTP-{spoken.status}"
        return spoken, status

    async def forget(self, repo: HubRef) -> None:
        """Forgets what may have changed with a repository; answers that are on their way are told, but not kept.

        Without a namespace it is the caller's own, whose name we do not know: all of that name are forgotten.
        """
        self._generation += 1
        self._asking.clear()
        await self._store.forget(repo.folded)

    async def refuse(self, repo: str, credential: Credential) -> None:
        """Gives nothing of a repository that was said before now, to this credential or to everybody.

        Refused to one, it is not open to all. To callers with tokens of their own nothing old is ever given.
        """
        for who in {EVERYBODY} | ({audience(credential)} if credential.owner != "caller" else set()):
            await self._store.keep(AnswerKey(repo, who, _REFUSED, ""), KeptAnswer((), b"", time.time()))

    async def _said_to_others(self, key: AnswerKey, credential: Credential) -> KeptAnswer | None:
        """What the Hub said to everybody, or what an operator brought in for those whom the gateway answers for."""
        audiences = (EVERYBODY,) if credential.owner == "caller" else (EVERYBODY, BROUGHT)
        for who in audiences:
            theirs = replace(key, audience=who)
            if (kept := await self._store.find(theirs)) is not None and await self._is_theirs(theirs, kept):
                return kept
        return None

    async def _is_theirs(self, key: AnswerKey, kept: KeptAnswer) -> bool:
        """Whether the Hub has not refused the repository to them since it said this."""
        refused = await self._store.find(AnswerKey(key.repo, key.audience, _REFUSED, ""))
        return refused is None or refused.said_at_s < kept.said_at_s

    async def _ask_once(self, key: AnswerKey, credential: Credential, ask: Ask) -> tuple[Spoken, str]:
        digest, status = key.digest, "fwd=miss; collapsed"
        task = self._asking.get(digest)
        if task is None:
            status = "fwd=miss; stored"
            task = self._asking[digest] = asyncio.create_task(
                self._ask(key, credential, ask), name=f"metadata {key.target}"
            )
            task.add_done_callback(lambda ended: self._answered(digest, ended))
        return await asyncio.shield(task), status

    async def _ask(self, key: AnswerKey, credential: Credential, ask: Ask) -> Spoken:
        generation, now = self._generation, time.time()
        spoken = await ask()
        small = len(spoken.body) <= _LARGEST_KEPT_BYTES
        if lasts(spoken.status, spoken.headers) and small and generation == self._generation:
            await self._store.keep(key, KeptAnswer(spoken.headers, spoken.body, now))
        if spoken.refuses and key.repo:
            self._tell_refused(key.repo, credential)
            await self.refuse(key.repo, credential)
        return spoken

    def _answered(self, digest: str, task: asyncio.Task[Spoken]) -> None:
        if self._asking.get(digest) is task:
            del self._asking[digest]
        if not task.cancelled():
            task.exception()


def _as_said(kept: KeptAnswer) -> Spoken:
    return Spoken(kept.status, kept.headers, kept.body)


def is_stale(status: str) -> bool:
    """Whether a `Cache-Status` of these answers says that the Hub could not be asked."""
    return "ttl=-1" in status
