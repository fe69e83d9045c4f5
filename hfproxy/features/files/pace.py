"""How many connections one download takes, and how much each fetches: one where that is fast, more where it is slow."""

from collections.abc import Callable

_MIB = 1024**2
_FAST_BYTES_PER_S = 100 * _MIB
_LOOK_EVERY_S = 0.25
_FIRST_RUN_BYTES = 4 * _MIB
_SMALLEST_RUN_BYTES = 2 * _MIB
_LARGEST_RUN_BYTES = 32 * _MIB
_LARGEST_LONE_RUN_BYTES = 256 * _MIB


class Pace:
    """Watches one download and allows it more connections while they pay.

    A CDN may cap each connection; a link that is the limit itself loses nothing by more of them. A machine that moves
    a hundred megabytes a second over one has little to win. A run is never cut short once it is asked for, since
    what the other side has sent already would be fetched twice: so the first is short, and they grow while one
    connection is fast.
    """

    def __init__(self, most_connections: int, *, crowded: Callable[[], bool], now: Callable[[], float]) -> None:
        self._most, self._crowded, self._now = most_connections, crowded, now
        self.allowed = 1
        self._lone_run = _FIRST_RUN_BYTES
        self._looked_at, self._bytes, self._bytes_then = now(), 0, 0
        self._run_began = now()

    def arrived(self, size_bytes: int) -> None:
        """Notes bytes that arrived; the clock runs from the first of them."""
        if self._bytes == 0:
            self._looked_at = self._now()
        self._bytes += size_bytes

    def look(self) -> None:
        """Takes stock, if it is time to."""
        passed_s = self._now() - self._looked_at
        if self._bytes == 0 or passed_s < _LOOK_EVERY_S:
            return
        rate = (self._bytes - self._bytes_then) / passed_s
        self._looked_at, self._bytes_then = self._now(), self._bytes
        if rate < _FAST_BYTES_PER_S and not self._crowded():
            self.allowed = min(self.allowed * 2, self._most)

    def run_began(self) -> None:
        """Notes that a run begins."""
        self._run_began = self._now()

    def run_ended(self, size_bytes: int) -> None:
        """Notes that a run ended: a lone one that is fast, or will stay alone, is trusted with more next time."""
        if self._crowded() or size_bytes >= _FAST_BYTES_PER_S * (self._now() - self._run_began):
            self._lone_run = min(self._lone_run * 4, _LARGEST_LONE_RUN_BYTES)

    def run_bytes(self, remaining_bytes: int) -> int:
        """How much one connection takes on; of several, less and less, so that all end together."""
        if self.allowed == 1:
            return self._lone_run
        return max(_SMALLEST_RUN_BYTES, min(remaining_bytes // (2 * self.allowed), _LARGEST_RUN_BYTES))
