"""Waiting for what another process does, by asking it."""

import asyncio
import contextlib
import os
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

T = TypeVar("T")

#: What never happens is told after so long. It measures nothing: a loaded machine may take its time, and the test
#: itself is ended later (`timeout` in pyproject.toml).
PATIENCE_S = 300
_PAUSE_S = 0.01

#: Below what systems give to those who ask for any port, so that no server of another test comes upon one that was
#: found here and is not yet listened on. Each process of a parallel run has a part of them, for the same reason.
_PORTS = range(20_000, 30_000)
_PARTS = 10
_random, _given = random.Random(os.getpid()), set[int]()


def free_port() -> int:
    """A loopback port that nobody listens on, and a new one each time; for processes that must be told one."""
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PARTS
    while True:
        port = _random.choice(_PORTS[part::_PARTS])
        if port in _given:
            continue
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            _given.add(port)
            return port


async def eventually(look: Callable[[], T | Awaitable[T]], good: Callable[[T], object] = bool, *, what: str = "") -> T:
    """What a look gives, once that is good: for what tells nobody of its end, as another process or a log.

    look: plain or asynchronous; asked again and again. Fails, with the last look, when none was good in time.
    """
    found = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                looked = look()
                found = await looked if isawaitable(looked) else looked
                if good(found):
                    return found
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError as error:
        raise AssertionError(f"{what or 'it'} did not happen within {PATIENCE_S} s; last seen: {found!r}") from error


def until(true: Callable[[], bool], *, what: str = "it") -> None:
    """Returns when `true` says so, as `eventually` does; for where no event loop runs."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE_S} s"
        time.sleep(_PAUSE_S)


def answers(url: str) -> bool:
    """Whether something answers at a URL, with whatever status."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
