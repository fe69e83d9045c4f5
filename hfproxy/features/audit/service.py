"""Every write leaves a trace, or is not done."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from hfproxy.downstream.access import Caller
from hfproxy.errors import (
    HubRefused,
    HubUnreachable,
    HubUntrusted,
    Overloaded,
    ProxyError,
    RequestRefused,
    StorageUnavailable,
)
from hfproxy.facts import request_id
from hfproxy.features.access.accounts import HubAccounts
from hfproxy.features.audit.models import AuditPage, AuditQuery, Outcome
from hfproxy.features.audit.store import AuditStore, Deed, Result
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import RepoRef

log = structlog.get_logger(__name__)

_NOTHING_CHANGED = (RequestRefused, HubRefused)
_NEVER_ARRIVED = (HubUnreachable, HubUntrusted, Overloaded, StorageUnavailable)


@dataclass(slots=True)
class Told:
    """What the one who does a write says of it: the status that the Hub answered, once it is known; what was made."""

    status: int | None = None
    made: RepoRef | None = None


class AuditTrail:
    """Keeps what is about to be done before it is done, and what came of it after."""

    def __init__(self, *, store: AuditStore, accounts: HubAccounts) -> None:
        self._store, self._accounts = store, accounts
        self._ending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def writing(
        self,
        action: str,
        *,
        caller: Caller,
        credential: Credential,
        repo: RepoRef | None = None,
        new_repo: RepoRef | None = None,
        asked: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Told]:
        """Goes round one write that is sent to the Hub. Raises StorageUnavailable before it if it cannot be kept.

        `Told.status` tells the outcome, else the error that leaves the block; none at all means that the Hub confirmed
        it. A caller who goes away before that leaves it unknown, as the end of the process does. A caller with a token
        of their own is kept under the account's name, for which the Hub may be asked: raises UpstreamError.
        """
        if caller.kind == "hub_token":
            caller = replace(caller, name=await self._accounts.name_of(credential) or caller.name)
        write_id = await self._begin(Deed(action, caller, repo, new_repo, asked or {}, request_id()))
        told, result = Told(), Result("unknown")
        try:
            yield told
            result = Result("done", 200)
        except ProxyError as error:
            result = Result(_outcome_of(error), error.status, error.code)
            raise
        finally:
            if told.status is not None:
                result = Result(_outcome_of_status(told.status), told.status)
            await self._end(write_id, replace(result, made=told.made))

    async def page(self, query: AuditQuery) -> AuditPage:
        """The writes that the query means, the newest first. Raises StorageUnavailable."""
        return await self._store.page(query)

    async def close(self) -> None:
        """Waits until everything that was begun is kept."""
        await asyncio.gather(*self._ending)

    async def _begin(self, deed: Deed) -> int:
        beginning = asyncio.create_task(self._store.begin(deed, _now()), name=f"audit {deed.action}")
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            self._finish(self._never_sent(beginning))
            raise

    async def _never_sent(self, beginning: asyncio.Task[int]) -> None:
        with suppress(StorageUnavailable):
            await self._keep(await beginning, Result("failed", None, "CallerGone"))

    async def _end(self, write_id: int, result: Result) -> None:
        # A caller who goes away cancels what is done for them, but not what is written about them.
        await asyncio.shield(self._finish(self._keep(write_id, result)))

    def _finish(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="audit outcome")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def _keep(self, write_id: int, result: Result) -> None:
        try:
            await self._store.end(write_id, result, _now())
        except StorageUnavailable as error:
            # The write is done and its intent is kept, without an outcome: the trail is true, if not complete.
            log.error("audit.outcome_lost", write_id=write_id, outcome=result.outcome, reason=error.detail)


def _outcome_of(error: ProxyError) -> Outcome:
    if isinstance(error, _NOTHING_CHANGED):
        return "refused"
    return "failed" if isinstance(error, _NEVER_ARRIVED) else "unknown"


def _outcome_of_status(status: int) -> Outcome:
    if status < 400:
        return "done"
    return "refused" if status < 500 else "unknown"


def _now() -> datetime:
    return datetime.now(UTC)
