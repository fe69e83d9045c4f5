"""How long to wait before the Hub is asked again, and when to give up."""

import random
from dataclasses import dataclass

from hfproxy.errors import HubFailed, HubMisspoke, HubRefused, UpstreamError
from hfproxy.upstream.headers import whole_number

_TOO_MANY_REQUESTS = 429
_REQUEST_TIMEOUT = 408


@dataclass(frozen=True, slots=True)
class Patience:
    """The bounds of trying again."""

    tries: int = 6
    """Failures in a row, without a byte in between, after which a download ends."""
    first_wait_s: float = 0.2
    longest_wait_s: float = 30.0
    """The longest that a `Retry-After` is obeyed; a longer one is handed on to the caller at once."""

    def wait_s(self, error: UpstreamError, failures: int) -> float | None:
        """Seconds to wait after so many failures in a row; None: do not try again."""
        if failures >= self.tries or not _may_pass(error):
            return None
        if (asked := whole_number(error.headers.get("Retry-After"))) is not None:
            return float(asked) if asked <= self.longest_wait_s else None
        # Spread out, so that many downloads that broke together do not come back together.
        doubled: float = self.first_wait_s * 2.0 ** (failures - 1)
        return min(doubled, self.longest_wait_s) * random.uniform(0.8, 1.2)  # noqa: S311


def _may_pass(error: UpstreamError) -> bool:
    """Whether the same question may get another answer."""
    if isinstance(error, HubRefused):
        return error.status in {_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS}
    return isinstance(error, HubFailed) or not isinstance(error, HubMisspoke)
