"""Log lines of which only a few values change, rendered once and then filled in.

The line of a request costs several times what answering from memory does, if all that it passes on its way (structlog,
the standard library, redaction, JSON) is done anew each time. What is written is the same to the byte.
"""

import asyncio
import atexit
import json
import logging
import re
import secrets
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from time import time
from typing import Final, TextIO

import structlog

from hfproxy.redaction import redact, redact_value

RENDERED: Final = "rendered"
"""The attribute of a log record that holds its finished line."""
# So many fit into a pipe at once (64 KiB); what does not has to wait for its reader, in a thread of its own.
_MOST_WAITING = 48
_LATEST_S = 0.02
_ROOT = logging.getLogger()
# Of these alone no secret is made that `redact` knows by its looks.
_PLAIN = re.compile(r"[0-9a-fA-F-]*")


class _Outlet:
    """Where finished lines go. handlers: those of the root logger, as they were set up, all of which write JSON.

    Lines are written together: after `_LATEST_S`, or when there are `_MOST_WAITING`, and before any other line and at
    the end of the process. What `kill -9` may cost is said in docs/logging.md.
    """

    def __init__(self, handlers: Sequence[logging.Handler], secrets: Sequence[str]) -> None:
        self.handlers, self.secrets = list(handlers), secrets
        self._plain_secrets = [secret for secret in secrets if _PLAIN.fullmatch(secret)]
        self._waiting: deque[str] = deque()
        # What is wrong with the log is told in the log, by who writes.
        self._flushing = threading.RLock()
        # The loop that was asked to write what waits.
        self._asked: asyncio.AbstractEventLoop | None = None

    def open(self) -> bool:
        """Whether whoever listens to the log now is whom it was set up for."""
        return _ROOT.handlers == self.handlers

    def quoted(self, text: str) -> str:
        """A text without secrets as a JSON string."""
        if _PLAIN.fullmatch(text) and not (self._plain_secrets and any(map(text.__contains__, self._plain_secrets))):
            return f'"{text}"'
        return encode_basestring_ascii(redact(text, also=self.secrets))

    def write(self, line: str) -> None:
        """Writes it soon; at once outside an event loop."""
        self._waiting.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if len(self._waiting) >= _MOST_WAITING:
            self.flush()
        elif self._asked is not loop:
            self._asked = loop
            loop.call_later(_LATEST_S, self._flush_as_asked)

    def _flush_as_asked(self) -> None:
        self._asked = None
        self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        with self._flushing:
            lines = []
            with suppress(IndexError):
                while True:
                    lines.append(self._waiting.popleft())
            if not lines:
                return
            for handler in self.handlers:
                if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                    _write_to_stream(handler, "\n".join(lines))
                else:
                    for line in lines:
                        handler.handle(_record_of(line))


def _write_to_stream(handler: "logging.StreamHandler[TextIO]", text: str) -> None:
    """As the handler's `emit`, without the record around the text, which costs five times the writing."""
    handler.acquire()
    try:
        handler.stream.write(f"{text}\n")
        handler.flush()
    except Exception:
        handler.handleError(_record_of(text))
    finally:
        handler.release()


def _flush_before(record: logging.LogRecord) -> bool:
    """A handler's filter: what waits is older than any other line. The formatter would have the handler's lock."""
    if not hasattr(record, RENDERED):
        flush()
    return True


def _record_of(line: str) -> logging.LogRecord:
    return logging.makeLogRecord({RENDERED: line, "levelno": logging.INFO})


_outlet: _Outlet | None = None


def write_to(handlers: Sequence[logging.Handler] | None, hidden: Sequence[str]) -> None:
    """Tells where the process's log goes; None where it is not JSON, and lines are written the long way."""
    global _outlet
    flush()
    for handler in handlers or ():
        handler.addFilter(_flush_before)
    _outlet = None if handlers is None else _Outlet(list(handlers), hidden)


def flush() -> None:
    """Writes what waits, so that no later line comes before it."""
    if _outlet is not None:
        _outlet.flush()


atexit.register(flush)


class RepeatedLine:
    """One such line of level info. fields: in their order; `changing` names those that each writing tells anew."""

    def __init__(self, logger: str, event: str, fields: Mapping[str, object], changing: Sequence[str]) -> None:
        self._logger, self._event, self._fields, self._changing = logger, event, fields, changing
        # The line's text, with a hole between each two pieces: for the time, and for each value that changes.
        self._pieces: list[str] = []
        self._rendered_for: _Outlet | None = None

    def write(self, *values: str | float) -> None:
        """Writes the line with these values of the changing fields, in their order."""
        if (outlet := _outlet) is None or not outlet.open():
            fields = {**self._fields, **dict(zip(self._changing, values, strict=True))}
            structlog.get_logger(self._logger).info(self._event, **fields)
            return
        if not _ROOT.isEnabledFor(logging.INFO):
            return
        if self._rendered_for is not outlet:
            self._pieces, self._rendered_for = self._rendered(outlet), outlet
        line = [""] * (2 * len(values) + 3)
        line[::2] = self._pieces
        line[1] = _timestamp()
        line[3::2] = [outlet.quoted(value) if isinstance(value, str) else str(value) for value in values]
        outlet.write("".join(line))

    def _rendered(self, outlet: _Outlet) -> list[str]:
        mark = secrets.token_hex(16)
        event = {"timestamp": mark, "level": "info", "event": self._event, **self._fields, "logger": self._logger}
        line = json.dumps(
            {
                key: mark if key in self._changing else redact_value(value, also=outlet.secrets)
                for key, value in event.items()
            }
        )
        return line.split(f'"{mark}"')


_second: tuple[int, str] = (0, "")


def _timestamp() -> str:
    """Now, as structlog writes it, in quotes."""
    global _second
    now = time()
    second = int(now)
    if _second[0] != second:
        _second = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f'"{_second[1]}.{int((now - second) * 1e6):06}Z"'
