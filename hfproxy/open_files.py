"""How many files this process may have open: every connection is one, and so is every file that is sent."""

import resource
from contextlib import suppress
from typing import Final

# Some systems name no bound, but take no such number; others name a billion, and what is started may count to it.
_ENOUGH: Final = 1 << 20


def allow_many_open_files() -> None:
    """Takes all that the system grants when asked: what it grants unasked is often 1024, and meant for select(2).

    A system that refuses leaves it as it was.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
