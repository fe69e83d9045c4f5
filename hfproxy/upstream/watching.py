"""Calls to the Hub as seen from beside them: what is measured of them, and whether the Hub was there.

Both hang on the session's tracing (aiohttp `TraceConfig`), so that whoever calls the Hub, and however, is seen.
"""

import asyncio
from dataclasses import dataclass
from time import monotonic
from types import SimpleNamespace

import aiohttp
from yarl import URL

from hfproxy.errors import UpstreamError
from hfproxy.metrics import Metrics
from hfproxy.upstream.addresses import Origin
from hfproxy.upstream.faults import network_faults

CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True)
class Sighting:
    """The last call to the Hub that ended: `error` is the code of what went wrong, None if the Hub answered."""

    at_s: float
    error: str | None

    @property
    def age_s(self) -> float:
        return monotonic() - self.at_s


class HubSightings:
    """How the Hub was last found. A 5xx of the Hub counts as its being away; calls elsewhere do not count."""

    def __init__(self, endpoint: str) -> None:
        self._origin = Origin.of(URL(endpoint))
        self.last: Sighting | None = None

    def note(self, url: URL, outcome: int | str) -> None:
        """Remembers how a call ended: with a status, or with the code of one of our errors."""
        if Origin.of(url) != self._origin or outcome == CANCELLED:
            return
        away = f"HTTP {outcome}" if isinstance(outcome, int) else outcome
        self.last = Sighting(monotonic(), None if isinstance(outcome, int) and outcome < 500 else away)


def watch(metrics: Metrics, sightings: HubSightings) -> aiohttp.TraceConfig:
    """The tracing that tells `metrics` and `sightings` of each call that a session sends."""

    async def begun(_session: aiohttp.ClientSession, call: SimpleNamespace, _: aiohttp.TraceRequestStartParams) -> None:
        call.begun_s = monotonic()
        metrics.hub_call_begun()

    def ended(call: SimpleNamespace, method: str, url: URL, outcome: int | str) -> None:
        metrics.hub_call_ended(method, outcome, duration_s=monotonic() - call.begun_s)
        sightings.note(url, outcome)

    async def answered(
        _session: aiohttp.ClientSession, call: SimpleNamespace, end: aiohttp.TraceRequestEndParams
    ) -> None:
        ended(call, end.method, end.url, end.response.status)

    async def failed(
        _session: aiohttp.ClientSession, call: SimpleNamespace, end: aiohttp.TraceRequestExceptionParams
    ) -> None:
        ended(call, end.method, end.url, _code_of(end.exception))

    async def opened(*_: object) -> None:
        metrics.connection_taken("opened")

    async def reused(*_: object) -> None:
        metrics.connection_taken("reused")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(begun)
    tracing.on_request_end.append(answered)
    tracing.on_request_exception.append(failed)
    tracing.on_connection_create_end.append(opened)
    tracing.on_connection_reuseconn.append(reused)
    return tracing


def _code_of(error: BaseException) -> str:
    """What went wrong, by the code of the error that `faults.py` makes of it."""
    try:
        with network_faults("a call"):
            raise error
    except UpstreamError as fault:
        return fault.code
    except asyncio.CancelledError:
        return CANCELLED
    except BaseException:
        return UpstreamError.code
