"""Whether this gateway can do its part, and how it last found the Hub.

Ready means: what is *ours* works (the storage folder, the database). The Hub's being away does not make a gateway
unready: it is away for all gateways alike, and a load balancer that takes all of them out turns clear 502s, and soon
files served from the cache, into nothing at all. Where files cannot be kept, or the database cannot be written, the
gateway does the rest of its part: it is ready, and says that it is degraded.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from hfproxy.errors import NotReady, ProxyError
from hfproxy.features.ops.models import HubState, Ready
from hfproxy.keys import Check
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.credentials import NOBODY
from hfproxy.upstream.watching import HubSightings

_SIGHTING_STAYS_S = 30.0
_CHECK_TIMEOUT_S = 2.0
_PATIENCE_WITH_HUB_S = 0.3


@dataclass(frozen=True, slots=True)
class _Found:
    """What a check said, if not all is well, and whether the gateway can do without."""

    said: str | None
    fails: bool


async def _look(check: Check) -> _Found:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return _Found(await check(), fails=False)
    except TimeoutError:
        return _Found(f"no answer within {_CHECK_TIMEOUT_S:g} s", fails=True)
    except Exception as error:  # an edge: whatever a check raises is its answer
        return _Found(f"{type(error).__name__}: {error}", fails=True)


class Health:
    """Runs the checks when asked. It asks the Hub at most twice a minute, and only while nobody else does."""

    def __init__(self, *, checks: Mapping[str, Check], hub: HubClient, sightings: HubSightings) -> None:
        self._checks, self._hub, self._sightings = checks, hub, sightings
        self._probe: asyncio.Task[None] | None = None

    async def ready(self) -> Ready:
        """What works. Raises NotReady, with the state of each check, if something of ours does not."""
        hub = await self._hub_state()
        checks = dict(self._checks)  # a stop adds one
        found = await asyncio.gather(*map(_look, checks.values()))
        states = {name: each.said or "ok" for name, each in zip(checks, found, strict=True)}
        if broken := [name for name, each in zip(checks, found, strict=True) if each.fails]:
            raise NotReady(f"not working: {', '.join(broken)}", checks=states, upstream=hub.model_dump())
        lacking = any(each.said for each in found)
        return Ready(status="degraded" if lacking else "ready", checks=states, upstream=hub)

    async def close(self) -> None:
        """Ends a question to the Hub that is under way."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)

    async def _hub_state(self) -> HubState:
        last = self._sightings.last
        if last is None or last.age_s > _SIGHTING_STAYS_S:
            if self._probe is None or self._probe.done():
                self._probe = asyncio.create_task(self._look(), name="look for the Hub")
            # Whoever asks has little patience, a second in Kubernetes: a slow Hub's state is told the next time.
            await asyncio.wait({self._probe}, timeout=_PATIENCE_WITH_HUB_S)
            last = self._sightings.last
        if last is None:
            return HubState(state="unknown", error=None, seconds_ago=None)
        state = "reachable" if last.error is None else "failing"
        return HubState(state=state, error=last.error, seconds_ago=round(last.age_s, 1))

    async def _look(self) -> None:
        """Asks the Hub who we are without a token: small, and its 401 shows that it is there."""
        try:
            await self._hub.call("GET", "/api/whoami-v2", credential=NOBODY)
        except ProxyError:
            return  # the call was watched: its end is the answer
