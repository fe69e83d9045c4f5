"""The file of rules, read at the start and again whenever it changes; a bad one never takes the place of a good one."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from hfproxy.beside import beside
from hfproxy.features.policy.measuring import PolicyMetrics
from hfproxy.features.policy.models import PolicyText
from hfproxy.features.policy.reading import BadPolicy, read_policy
from hfproxy.starting import CannotStart

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 2.0


class CannotUsePolicy(CannotStart):
    """There are no rules yet, and the file holds none that can be used."""


class PolicyFile:
    """Follows a file. path: None where there is none. problems: what is wrong with it now, while older rules hold."""

    def __init__(
        self, path: Path | None, *, hold: Callable[[PolicyText], None], metrics: PolicyMetrics | None = None
    ) -> None:
        self.path, self._hold, self._metrics = path, hold, metrics
        self._state: tuple[int, ...] | None = None
        self._told = asyncio.Event()
        self.loaded_at: datetime | None = None
        self.problems: list[str] = []

    def start(self) -> None:
        """Lets the file's rules hold. Raises CannotUsePolicy."""
        if self.path is None:
            return
        self._state = _state_of(self.path)
        try:
            self._take(read_policy(self.path))
        except BadPolicy as error:
            lines = "".join(f"\n  {problem}" for problem in error.problems)
            raise CannotUsePolicy(f"the policy (HFPROXY_POLICY__FILE) cannot be used:{lines}") from None

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """While this is entered the file is looked at every two seconds, and at once on SIGHUP."""
        if self.path is None:
            yield
            return
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread, or not on this system
            loop.add_signal_handler(signal.SIGHUP, self._told.set)
        try:
            async with beside(self._follow(self.path), name="follow the policy file"):
                yield
        finally:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(signal.SIGHUP)

    async def _follow(self, path: Path) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._told.wait()
            state = await asyncio.to_thread(_state_of, path)
            if state == self._state and not self._told.is_set():
                continue
            self._told.clear()
            self._state = state
            try:
                policy = await asyncio.to_thread(read_policy, path)
            except BadPolicy as error:
                self.problems = error.problems
                log.warning("policy.refused", path=str(path), reason="; ".join(error.problems[:20]))
                if self._metrics is not None:
                    self._metrics.refused()
            else:
                self._take(policy)

    def _take(self, policy: PolicyText) -> None:
        self._hold(policy)
        self.problems, self.loaded_at = [], datetime.now(UTC)
        log.info("policy.loaded", path=str(self.path), rules=len(policy.rule), limits=len(policy.limit))
        if self._metrics is not None:
            self._metrics.loaded(len(policy.rule))


def _state_of(path: Path) -> tuple[int, ...] | None:
    """What changes when the file does; None while it is away."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
