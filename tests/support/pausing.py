"""Pauses other processes: they answer nothing any more, and break no connection."""

import os
import signal
from pathlib import Path

from tests.support.waiting import until


def pause(pid: int) -> None:
    """Returns once the process stands still. The signal alone does not say so: a thread of it may be answering yet."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: all(state in "TZX" for state in _states(pid)), what=f"a pause of process {pid}")


def _states(pid: int) -> list[str]:
    """The state of each thread (proc(5), `stat`); none where the process is gone or the system has no /proc."""
    states = []
    for file in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            states.append(file.read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
    return states
