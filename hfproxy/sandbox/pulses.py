"""Wakes those who wait for a repository to change."""

import asyncio
from collections import defaultdict


class Pulses:
    """One event per repository that somebody waits for; it is let go of with the pulse."""

    def __init__(self) -> None:
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def beat(self, oid: str) -> None:
        if event := self._events.pop(oid, None):
            event.set()

    async def next(self, oid: str, *, at_most_s: float) -> bool:
        """Wait for the next change; False when none came in time."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._events[oid].wait()
        except TimeoutError:
            return False
        return True
