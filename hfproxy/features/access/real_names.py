"""Which repository a name really leads to, for keys that are limited to some."""

from collections import OrderedDict
from time import monotonic
from typing import Final, Protocol

from aiohttp import web

from hfproxy.downstream.access import Caller, Role
from hfproxy.errors import HubRefused, NotKept, UpstreamError
from hfproxy.features.access.decisions import require_repos
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import HubRef, RepoRef
from hfproxy.upstream.wire import RepoInfo

_REMEMBERED_S = 30
_MAX_REMEMBERED = 4096
_TOO_MANY_REQUESTS = 429


class KeepsNames(Protocol):
    """Keeps where names led, for the time when the Hub cannot be asked."""

    async def keep(self, ref: RepoRef, credential: Credential, real: RepoRef) -> None:
        """Keeps what the Hub said just now."""

    async def find(self, ref: RepoRef, credential: Credential) -> RepoRef | None:
        """What it said last, if that may still be believed."""


class RealNames:
    """Asks the Hub what a name means, since one that was moved leads elsewhere; other callers cost no question.

    kept: what is asked while the Hub is away, and in its place while the gateway is offline.
    """

    def __init__(self, *, hub: HubClient, offline: bool = False, kept: KeepsNames | None = None) -> None:
        self._hub, self._offline = hub, offline
        self.kept = kept
        self._known: OrderedDict[tuple[Credential, HubRef], tuple[float, HubRef]] = OrderedDict()

    async def check(self, caller: Caller, *refs: HubRef, credential: Credential) -> None:
        """Passes if the key is for what these names lead to. Raises CallerNotAllowed, UpstreamError."""
        if caller.repos is None:
            return
        for ref in refs:
            require_repos(caller, Role.READER, await self._real(ref, credential))

    def forget(self, *refs: HubRef) -> None:
        """Forgets where these names lead: somebody wrote to them, and may have moved one."""
        changed = {ref.folded for ref in refs}
        for key in [key for key in self._known if key[1] in changed]:
            del self._known[key]

    async def _real(self, ref: HubRef, credential: Credential) -> HubRef:
        key, now = (credential, ref.folded), monotonic()
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        if self._offline:
            return await self._last(
                ref, credential, NotKept(f"{ref}: its name is not kept, and this gateway is offline")
            )
        try:
            answer = await self._hub.call("GET", ref.api_path, credential=credential)
        except UpstreamError as error:
            if isinstance(error, HubRefused) and error.status != _TOO_MANY_REQUESTS:
                return ref  # nothing there that this credential can see: the call itself will hear so too
            return known[1] if known is not None else await self._last(ref, credential, error)
        real = ref.renamed(answer.read_as(RepoInfo).id)
        if self.kept is not None and isinstance(ref, RepoRef) and isinstance(real, RepoRef):
            await self.kept.keep(ref, credential, real)
        self._known[key] = (now + _REMEMBERED_S, real)
        while len(self._known) > _MAX_REMEMBERED:
            self._known.popitem(last=False)
        return real

    async def _last(self, ref: HubRef, credential: Credential, otherwise: UpstreamError) -> HubRef:
        """What the Hub said last holds while it is away, as it does for what is kept; of buckets nothing is."""
        repo = ref if isinstance(ref, RepoRef) else None
        real = await self.kept.find(repo, credential) if self.kept is not None and repo is not None else None
        if real is None:
            raise otherwise
        return real


REAL_NAMES: Final = web.AppKey("real_names", RealNames)
