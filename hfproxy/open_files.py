"""Which files this process has open from its start, and how many it may: each connection is one."""

import os
import resource
import sys
from contextlib import suppress
from typing import Final

# Some systems name no bound, but take no such number; others name a billion, and what is started may count to it.
_ENOUGH: Final = 1 << 20
_STANDARD_ERROR: Final = 2


def allow_many_open_files() -> None:
    """Takes all that the system grants when asked: what it grants unasked is often 1024, and meant for select(2).

    A system that refuses leaves it as it was.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_standard_files() -> None:
    """Standard input, output and error lead nowhere where the process was started without them.

    Otherwise the next file that is opened gets their number, the database say, and the words that are meant for them.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(fd, True)
    os.close(fd)
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(fd, "w" if fd else "r"))
