"""Calls webhooks, each in its own line: what happens is told in order, and nobody waits for a slow listener.

A line is bounded, and so are attempts: a sandbox loses notices rather than memory or time, and says so in its log.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from .notices import VERSION
from .webhooks import Webhook

log = logging.getLogger(__name__)

SECRET_HEADER = "X-Webhook-Secret"  # noqa: S105 - a header's name
LONGEST_LINE = 1000
PAUSES_S = (0.2, 1.0)
"""Between the attempts: one more attempt than pauses."""
TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(slots=True)
class _Line:
    waiting: deque[dict[str, Any]] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class Deliveries:
    """Delivers notices. `current` finds a webhook as it is now, None once it is to be called no more."""

    def __init__(self, current: Callable[[str], Webhook | None]) -> None:
        self._current = current
        self._lines: dict[str, _Line] = {}
        self._session: aiohttp.ClientSession | None = None

    def offer(self, webhook: Webhook, notice: dict[str, Any]) -> None:
        """Have a notice delivered soon, or dropped when too many wait before it."""
        line = self._lines.setdefault(webhook.oid, _Line())
        if len(line.waiting) >= LONGEST_LINE:
            log.warning("webhook.dropped", extra={"webhook": webhook.oid})
            return
        line.waiting.append(notice)
        if line.task is None:
            line.task = asyncio.get_running_loop().create_task(self._work_off(webhook.oid, line))

    async def close(self) -> None:
        """Stop; what was not delivered is lost."""
        tasks = [line.task for line in self._lines.values() if line.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _work_off(self, oid: str, line: _Line) -> None:
        while line.waiting:
            notice = line.waiting.popleft()
            if webhook := self._current(oid):
                await self._deliver(webhook, notice)
        # Nothing is awaited since the line was found empty: an offer comes before this, or starts another task.
        del self._lines[oid]

    async def _deliver(self, webhook: Webhook, notice: dict[str, Any]) -> None:
        content = json.dumps(notice | {"webhook": {"id": webhook.oid, "version": VERSION}}).encode()
        headers = {"Content-Type": "application/json", **({SECRET_HEADER: webhook.secret} if webhook.secret else {})}
        for pause_s in (*PAUSES_S, None):
            outcome = await self._post(webhook.url, content, headers)
            if isinstance(outcome, int) and outcome < 500 and outcome != 429:
                return
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        log.warning("webhook.undelivered", extra={"webhook": webhook.oid, "outcome": outcome})

    async def _post(self, url: str, content: bytes, headers: dict[str, str]) -> int | str:
        """The status that came back, or the name of what went wrong."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.post(url, data=content, headers=headers, allow_redirects=False) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return type(error).__name__
