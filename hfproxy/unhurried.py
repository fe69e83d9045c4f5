"""Standard error as a stream that no writer waits for, though its reader stands still.

A pipe holds 64 KiB. Where its reader has stopped (a log shipper that hangs, a terminal held by Ctrl-S), the next write
blocks, and with it the event loop: no request is answered and no signal heard. Here what does not fit waits in memory
and a thread writes it when there is room; what is too much for that is dropped, counted, and told of.
"""

import atexit
import os
import select
import stat
import threading
from collections import deque
from contextlib import suppress
from typing import Final

import structlog

log = structlog.get_logger(__name__)

# Some thousands of lines.
MOST_WAITING_BYTES: Final = 1024 * 1024
# So much is written whole or not at all, and does not wait where there is room for anything (pipe(7), poll(2)).
_PIECE_BYTES: Final = select.PIPE_BUF
_PATIENCE_AT_EXIT_S: Final = 1.0


class UnhurriedStream:
    """Writes text to a descriptor of the process's. Raises OSError where it cannot be written at all."""

    def __init__(self, fd: int) -> None:
        self._fd = _not_blocking(fd)
        self._piece_bytes = MOST_WAITING_BYTES if stat.S_ISREG(os.fstat(fd).st_mode) else _PIECE_BYTES
        self._room = select.poll()
        self._room.register(self._fd, select.POLLOUT)
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped_lines = 0
        self._writing: threading.Thread | None = None
        atexit.register(self._end)

    def write(self, text: str) -> int:
        """Whole lines. They are written at once if there is room, else later, in their order."""
        content = text.encode("utf-8", "backslashreplace")
        with self._lock:
            if not self._waiting:
                content = self._written_as_far_as_it_fits(content)
            if content:
                self._let_wait(content)
        return len(text)

    def flush(self) -> None:
        """Nothing that could be written is ever held back."""

    def _written_as_far_as_it_fits(self, content: bytes) -> bytes:
        """What is left of it."""
        while content and self._room.poll(0):
            # Whole lines where they are short enough, so that those of several processes do not mix.
            end = content.rfind(b"\n", 0, self._piece_bytes) + 1 or self._piece_bytes
            try:
                written = os.write(self._fd, content[:end])
            except BlockingIOError:  # another process took the room
                break
            content = content[written:]
        return content

    def _let_wait(self, content: bytes) -> None:
        if self._waiting_bytes + len(content) > MOST_WAITING_BYTES:
            self._dropped_lines += content.count(b"\n")
            return
        self._waiting.append(content)
        self._waiting_bytes += len(content)
        if self._writing is None:
            self._writing = threading.Thread(target=self._write_what_waits, name="log lines that wait", daemon=True)
            self._writing.start()

    def _write_what_waits(self) -> None:
        dropped = 0
        while True:
            self._room.poll()
            with self._lock:
                try:
                    first = self._waiting.popleft()
                    if rest := self._written_as_far_as_it_fits(first):
                        self._waiting.appendleft(rest)
                    self._waiting_bytes -= len(first) - len(rest)
                except OSError:  # nobody will ever read it
                    self._waiting.clear()
                    self._waiting_bytes = 0
                if not self._waiting:
                    dropped, self._dropped_lines = self._dropped_lines, 0
                    self._writing = None
                    break
        if dropped:
            log.warning("log.dropped", lines=dropped)

    def _end(self) -> None:
        if (writing := self._writing) is not None:
            writing.join(_PATIENCE_AT_EXIT_S)


def _not_blocking(fd: int) -> int:
    """Another descriptor of the same pipe, which never waits; whoever else has the pipe keeps theirs as it is."""
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        with suppress(OSError):  # there is no /proc, or the pipe is another user's
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return fd
