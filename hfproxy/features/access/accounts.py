"""Whose Hub token a caller sent, as the Hub says."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from hfproxy.errors import CallerTokenRejected, HubMisspoke, HubRefused, UpstreamError
from hfproxy.features.access.secrets import hash_of
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import BucketRef, RepoRef
from hfproxy.upstream.wire import Whoami

KEPT_S = 600.0
MOST_KEPT = 1000


class HubAccounts:
    """Names the account behind a caller's own token, asking the Hub once in ten minutes for each."""

    def __init__(self, *, hub: HubClient, clock: Callable[[], float] = monotonic) -> None:
        self._hub, self._clock = hub, clock
        self._names: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def name_of(self, credential: Credential) -> str | None:
        """The account's name; None where the Hub knows the token but does not say whose it is.

        Raises CallerTokenRejected, so that nobody goes on with a token that was made up; UpstreamError.
        """
        assert credential.token is not None
        kept = hash_of(credential.token)
        asked_at, name = self._names.get(kept, (float("-inf"), ""))
        if self._clock() - asked_at < KEPT_S:
            return name
        try:
            answer = await self._hub.call("GET", "/api/whoami-v2", credential=credential)
            name = answer.read_as(Whoami).name
        except CallerTokenRejected:
            self._names.pop(kept, None)
            raise
        except (HubRefused, HubMisspoke):
            return None
        self._names[kept] = (self._clock(), name)
        self._names.move_to_end(kept)
        if len(self._names) > MOST_KEPT:
            self._names.popitem(last=False)
        return name

    async def owning(self, ref: RepoRef, credential: Credential) -> RepoRef:
        """The same, a name without an owner given to the account that asks (contract 2.1), if the Hub says who it is.

        Where it does not, the call that follows will fare no better, and tells why.
        """
        if ref.namespace is not None or credential.token is None:
            return ref
        try:
            return replace(ref, namespace=await self.name_of(credential))
        except UpstreamError:
            return ref

    async def owning_bucket(self, ref: BucketRef, credential: Credential) -> BucketRef:
        """The same, `me` replaced by the account that asks, if the Hub says who it is. Raises UpstreamError."""
        if not ref.is_of_who_asks or credential.token is None:
            return ref
        name = await self.name_of(credential)
        return replace(ref, namespace=name) if name is not None else ref
