"""What one caller may take: requests in a time, bytes a second, transfers at once.

Each process counts for itself. Callers with a key or a token are one each, however many machines they use; anonymous
ones are told apart by address, a whole /64 being one.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_address

from aiolimiter import AsyncLimiter

from hfproxy.downstream.access import Caller
from hfproxy.errors import TooManyRequests
from hfproxy.facts import note
from hfproxy.features.policy.globs import matches
from hfproxy.features.policy.models import Limit
from hfproxy.features.policy.service import caller_of

# Shorter than clients wait for the first byte of a file (`huggingface_hub`, HF_HUB_DOWNLOAD_TIMEOUT: 10 s).
QUEUE_S = 5.0
_MOST_CALLERS = 10_000
_MOST_STEP_BYTES = 256 * 1024
_STEPS_A_SECOND = 8

Refused = Callable[[str, str], None]


class Pace:
    """Holds up whoever wants to send or take bytes until the caller has a right to them; nothing is kept meanwhile."""

    def __init__(self, bytes_per_s: int) -> None:
        self.bytes_per_s = bytes_per_s
        self.step_bytes = max(1, min(_MOST_STEP_BYTES, bytes_per_s // _STEPS_A_SECOND))
        # What may go at once is a step: bytes leave as a stream, not as one gulp a second.
        self._limiter = AsyncLimiter(self.step_bytes, self.step_bytes / bytes_per_s)

    async def __call__(self, count: int) -> None:
        """Returns when so many bytes may go."""
        while count > 0:
            step = min(count, self.step_bytes)
            await self._limiter.acquire(step)
            count -= step


class Allowance:
    """What one caller has left of one limit."""

    def __init__(self, limit: Limit, refused: Refused) -> None:
        self.limit, self._refused = limit, refused
        rate = limit.requests
        self._requests = AsyncLimiter(rate.count, rate.window_s) if rate is not None else None
        self.pace = Pace(int(limit.bandwidth)) if limit.bandwidth is not None else None
        self._places = asyncio.Semaphore(limit.transfers) if limit.transfers is not None else None
        self._waiting = 0

    async def count_request(self) -> None:
        """Counts one request. Raises TooManyRequests."""
        rate = self.limit.requests
        if self._requests is None or rate is None:
            return
        if not self._requests.has_capacity():
            wait_s = math.ceil(rate.window_s / rate.count)
            self._refuse("requests", f"more than {rate.count} requests in {rate.window_s:g} s", wait_s)
        await self._requests.acquire()

    @asynccontextmanager
    async def transfer(self) -> AsyncIterator[None]:
        """One transfer, once there is a place for it. Raises TooManyRequests when there is none for some seconds."""
        places, most = self._places, self.limit.transfers
        if places is None or most is None:
            yield
            return
        told = f"more than {most} transfers at once"
        if self._waiting >= max(16, 4 * most):
            self._refuse("transfers", told, math.ceil(QUEUE_S))
        self._waiting += 1
        try:
            async with asyncio.timeout(QUEUE_S):
                await places.acquire()
        except TimeoutError:
            self._refuse("transfers", told, 1)
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            places.release()

    def _refuse(self, what: str, told: str, wait_s: int) -> None:
        note(policy_limit=self.limit.name)
        self._refused(self.limit.name, what)
        rate = self.limit.requests
        quota = f"q={rate.count};w={rate.window_s:g}" if rate is not None and what == "requests" else "q=0;w=1"
        raise TooManyRequests(
            f"{told} (policy limit: {self.limit.name})",
            headers={
                "Retry-After": str(wait_s),
                # Contract 1.5: by these the Hub's clients wait, and tell what they wait for.
                "RateLimit": f'"gateway";r=0;t={wait_s}',
                "RateLimit-Policy": f'"fixed window";"gateway";{quota}',
            },
            limit=self.limit.name,
        )


class Limits:
    """The limits that hold now, and what each caller has left. Without any, a question costs one comparison."""

    def __init__(self, *, refused: Refused = lambda _limit, _what: None) -> None:
        self._limits: Sequence[Limit] = ()
        self._refused = refused
        self._allowances: OrderedDict[str, Allowance | None] = OrderedDict()

    def replace(self, limits: Sequence[Limit]) -> None:
        """Lets these hold; where they are the same, what callers have left stays."""
        if tuple(limits) != tuple(self._limits):
            self._limits = tuple(limits)
            self._allowances = OrderedDict()

    def of(self, caller: Caller) -> Allowance | None:
        """What a caller has left of the first limit that is theirs; None where none is."""
        if not self._limits:
            return None
        who = _identity(caller)
        if who not in self._allowances:
            limit = next((limit for limit in self._limits if _is_theirs(limit, caller)), None)
            self._allowances[who] = Allowance(limit, self._refused) if limit is not None else None
            if len(self._allowances) > _MOST_CALLERS:
                self._allowances.popitem(last=False)
        self._allowances.move_to_end(who)
        return self._allowances[who]


def _is_theirs(limit: Limit, caller: Caller) -> bool:
    if limit.roles is not None and str(caller.role) not in limit.roles:
        return False
    return limit.callers is None or any(matches(glob, caller_of(caller)) for glob in limit.callers)


def _identity(caller: Caller) -> str:
    if caller.kind != "anonymous" or caller.address is None:
        return f"{caller.kind} {caller.id} {caller.role}"
    address = ip_address(caller.address)
    network = int(address) >> 64 if isinstance(address, IPv6Address) else address
    return f"anonymous {network} {caller.role}"
