"""What was written to the Hub through the gateway, for those who keep something of it or keep account of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from hfproxy.errors import HubRefused, UpstreamError
from hfproxy.upstream.routes import Route


@dataclass(frozen=True, slots=True)
class Written:
    """One relayed write. status: the Hub's answer; None if it never came, and then the write may have happened.

    path: as it was sent, without its query. caller: who asked for it.
    """

    method: str
    path: str
    route: Route
    status: int | None
    caller: str

    @property
    def may_have_happened(self) -> bool:
        return self.status is None or self.status < 400 or self.status >= 500


WriteWatcher = Callable[[Written], Awaitable[None]]


@dataclass(slots=True)
class Telling:
    """What will be told; whoever makes the write puts the repositories' full names in, once they are known."""

    route: Route


@asynccontextmanager
async def telling(
    watchers: Sequence[WriteWatcher], method: str, path: str, route: Route, caller: str
) -> AsyncIterator[Telling]:
    """Tells the watchers of the write that is made inside, however it ends."""
    status: int | None = None
    told = Telling(route)
    try:
        yield told
        status = 200
    except HubRefused as error:
        status = error.status
        raise
    except UpstreamError:
        raise
    finally:
        written = Written(method, path, told.route, status, caller)
        # At once: what they write in the database becomes one commit.
        await asyncio.gather(*(watcher(written) for watcher in watchers))
