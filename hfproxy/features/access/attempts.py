"""Wrong keys, counted by the address they came from."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from time import monotonic

from hfproxy.downstream.forwarded import IPAddress
from hfproxy.errors import TooManyAttempts

WINDOW_S = 60.0
MOST_ADDRESSES = 10_000


@dataclass(slots=True)
class _Window:
    begun: float
    count: int


class FailedAttempts:
    """At most `most` wrong keys a minute from one address; a whole /64 counts as one, since one customer has it.

    It keeps the windows of `MOST_ADDRESSES` addresses, dropping the one that was quiet longest. It limits noise and
    load, not what can be guessed: a key has 256 bits. So it never stands between a right key and the gateway; whoever
    shares an address with a forgotten script keeps working.
    """

    def __init__(self, most: int, *, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._clock = most, clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def check(self, address: IPAddress | None) -> None:
        """Passes while the address has attempts left. Raises TooManyAttempts."""
        window = self._windows.get(_network(address))
        if window is None or window.count < self._most:
            return
        left_s = window.begun + WINDOW_S - self._clock()
        if left_s > 0:
            raise TooManyAttempts(
                f"more than {self._most} wrong keys a minute", headers={"Retry-After": str(math.ceil(left_s))}
            )

    def count(self, address: IPAddress | None) -> None:
        """Notes one more wrong key."""
        name, now = _network(address), self._clock()
        window = self._windows.pop(name, None)
        if window is None or now - window.begun >= WINDOW_S:
            window = _Window(now, 0)
        window.count += 1
        self._windows[name] = window
        if len(self._windows) > MOST_ADDRESSES:
            self._windows.popitem(last=False)

    def __len__(self) -> int:
        return len(self._windows)


def _network(address: IPAddress | None) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)
