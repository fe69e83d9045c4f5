"""Threads share the places that the C library keeps freed memory in."""

import platform
import subprocess
import sys

import pytest

# malloc_info(3) tells of each arena as a heap. The threads are alive together, and each has asked for memory.
_PROGRAM = """
import ctypes, threading
from hfproxy.allocator import share_memory_between_threads

share_memory_between_threads()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
threads, all_there = 8, threading.Barrier(9)

def allocate():
    libc.malloc(ctypes.c_size_t(100_000))
    all_there.wait()
    all_there.wait()

for _ in range(threads):
    threading.Thread(target=allocate).start()
all_there.wait()
out = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
all_there.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another")
def test_threads_share_two_arenas() -> None:
    told = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True).stdout
    assert 1 <= told.count("<heap nr=") <= 2, told
