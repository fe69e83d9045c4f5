"""How the C library keeps freed memory: in few places, where whoever wants some next finds it."""

import ctypes
from contextlib import suppress
from typing import Final

# glibc's malloc.h; mallopt(3).
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2


def share_memory_between_threads() -> None:
    """Call it before there are threads; does nothing where the C library is not glibc.

    By default each thread is given a place of its own (an arena; up to eight for each core), and what a finished
    download leaves free in one is no use to the others: two hundred transfers took 30 MiB more. Python's lock lets one
    thread allocate at a time, so that threads do not wait for each other here.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
