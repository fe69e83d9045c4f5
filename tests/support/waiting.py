"""Waiting for what another process does, by asking it."""

import contextlib
import os
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable

#: Below what systems give to those who ask for any port, so that no server of another test comes upon one that was
#: found here and is not yet listened on.
_PORTS = range(20_000, 30_000)
_given = random.Random(os.getpid())


def free_port() -> int:
    """A loopback port that nobody listens on; for processes that must be told one."""
    while True:
        port = _given.choice(_PORTS)
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


def until(true: Callable[[], bool], *, timeout_s: float = 90, what: str = "it") -> None:
    """Returns when `true` says so; fails when it has not in time."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout_s} s"
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Whether something answers at a URL, with whatever status."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
