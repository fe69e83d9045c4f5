"""Rate limits: fixed windows per caller and kind of path, told on every answer.

Source: contract section 1.5.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from hfproxy.upstream import headers

from .config import Quotas


@dataclass(slots=True)
class _Window:
    began_s: float
    used: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How one caller stands with one quota after a call."""

    bucket: str
    quota: int
    left: int
    resets_in_s: int
    window_s: int
    exceeded: bool

    @property
    def headers(self) -> dict[str, str]:
        return {
            headers.RATE_LIMIT: f'"{self.bucket}";r={self.left};t={self.resets_in_s}',
            headers.RATE_LIMIT_POLICY: f'"fixed window";"{self.bucket}";q={self.quota};w={self.window_s}',
        }


class RateLimits:
    """Counts calls; when not enforced, a used-up quota stays at its last call."""

    def __init__(self, quotas: Quotas, *, enforced: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._quotas = {"api": quotas.api, "resolvers": quotas.resolvers, "pages": quotas.pages}
        self._window_s = quotas.window_s
        self._enforced = enforced
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}

    def spend(self, caller: str | None, address: str, bucket: str) -> Standing:
        """Count one call of an account, or of an address for callers without one."""
        quota = self._quotas[bucket] * (2 if caller else 1)
        key = (f"@{caller}" if caller else address, bucket)
        now_s = self._clock()
        window = self._windows.get(key)
        if window is None or now_s >= window.began_s + self._window_s:
            window = self._windows[key] = _Window(now_s)
        window.used += 1
        exceeded = self._enforced and window.used > quota
        left = max(quota - window.used, 0 if self._enforced else 1)
        resets_in_s = math.ceil(window.began_s + self._window_s - now_s)
        return Standing(bucket, quota, left, resets_in_s, self._window_s, exceeded)
