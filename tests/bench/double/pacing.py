"""Bandwidth caps: bytes are let through at a rate, for one connection or for all of them together."""

import asyncio
from time import monotonic


class Pace:
    """Lets bytes through at `bytes_per_s`; None lets all through at once."""

    def __init__(self, bytes_per_s: float | None) -> None:
        self.bytes_per_s = bytes_per_s
        self._free_at = 0.0

    async def spend(self, size_bytes: int) -> None:
        """Waits until so many bytes may have left."""
        if self.bytes_per_s is None:
            return
        self._free_at = max(monotonic(), self._free_at) + size_bytes / self.bytes_per_s
        if (wait_s := self._free_at - monotonic()) > 0:
            await asyncio.sleep(wait_s)
