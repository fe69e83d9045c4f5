"""Which repository a call really means, for keys that are limited to some."""

from hfproxy.downstream.access import Caller, Role
from hfproxy.features.access.decisions import require_repos
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import RepoRef
from hfproxy.upstream.wire import RepoInfo, Whoami


class RepoPermission:
    """Asks the Hub what a name means before a limited key may write there; other callers cost no question."""

    def __init__(self, *, hub: HubClient) -> None:
        self._hub = hub

    async def for_new(self, caller: Caller, ref: RepoRef, *, credential: Credential) -> RepoRef:
        """The repository that may be made, its owner named for a limited key. Raises CallerNotAllowed, UpstreamError.

        A name without an owner means the account behind the token.
        """
        if caller.repos is None:
            return ref
        named = await self._with_owner(ref, credential)
        require_repos(caller, Role.WRITER, named)
        return named

    async def for_existing(self, caller: Caller, ref: RepoRef, *, credential: Credential) -> RepoRef:
        """The repository that may be changed. Raises CallerNotAllowed, UpstreamError.

        The name of a repository that was moved still leads to it, wherever it is now: both names must be allowed.
        """
        if caller.repos is None:
            return ref
        named = await self._with_owner(ref, credential)
        require_repos(caller, Role.WRITER, named)
        answer = await self._hub.call("GET", named.api_path, credential=credential)
        require_repos(caller, Role.WRITER, RepoRef.parse(ref.repo_type, answer.read_as(RepoInfo).id))
        return named

    async def _with_owner(self, ref: RepoRef, credential: Credential) -> RepoRef:
        if ref.namespace is not None:
            return ref
        answer = await self._hub.call("GET", "/api/whoami-v2", credential=credential)
        return RepoRef(ref.repo_type, answer.read_as(Whoami).name, ref.name)
