"""Which repository a name really leads to, for keys that are limited to some."""

from collections import OrderedDict
from time import monotonic
from typing import Final

from aiohttp import web

from hfproxy.downstream.access import Caller, Role
from hfproxy.errors import HubRefused, UpstreamError
from hfproxy.features.access.decisions import require_repos
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import RepoRef
from hfproxy.upstream.wire import RepoInfo

_REMEMBERED_S = 30
_MAX_REMEMBERED = 4096


class RealNames:
    """Asks the Hub what a name means, since one that was moved leads elsewhere; other callers cost no question."""

    def __init__(self, *, hub: HubClient) -> None:
        self._hub = hub
        self._known: OrderedDict[tuple[Credential, RepoRef], tuple[float, RepoRef]] = OrderedDict()

    async def check(self, caller: Caller, *refs: RepoRef, credential: Credential) -> None:
        """Passes if the key is for what these names lead to. Raises CallerNotAllowed, UpstreamError."""
        if caller.repos is None:
            return
        for ref in refs:
            require_repos(caller, Role.READER, await self._real(ref, credential))

    def forget(self, *refs: RepoRef) -> None:
        """Forgets where these names lead: somebody wrote to them, and may have moved one."""
        changed = {ref.folded for ref in refs}
        for key in [key for key in self._known if key[1] in changed]:
            del self._known[key]

    async def _real(self, ref: RepoRef, credential: Credential) -> RepoRef:
        key, now = (credential, ref.folded), monotonic()
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        try:
            answer = await self._hub.call("GET", ref.api_path, credential=credential)
        except HubRefused:
            return ref  # nothing there that this credential can see: the call itself will hear so too
        except UpstreamError:
            if known is None:
                raise
            return known[1]  # the Hub is away: what it said last holds, as it does for what is kept
        real = RepoRef.parse(ref.repo_type, answer.read_as(RepoInfo).id)
        self._known[key] = (now + _REMEMBERED_S, real)
        while len(self._known) > _MAX_REMEMBERED:
            self._known.popitem(last=False)
        return real


REAL_NAMES: Final = web.AppKey("real_names", RealNames)
