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
# Of these alone no secret is made that `redact` knows by its looks.
_MOST_WAITING = 64
_ROOT = logging.getLogger()
_PLAIN = re.compile(r"[0-9a-fA-F-]*")


class _Outlet:
    """Where finished lines go. handlers: those of the root logger, as they were set up, all of which write JSON.

    Lines of one turn of the event loop are written together, at its end: a crash loses no more than those whose
    answers were being written.
    """

    def __init__(self, handlers: Sequence[logging.Handler], secrets: Sequence[str]) -> None:
        self.handlers, self.secrets = list(handlers), secrets
        self._plain_secrets = [secret for secret in secrets if _PLAIN.fullmatch(secret)]
        self._waiting: deque[str] = deque()

    def open(self) -> bool:
        """Whether whoever listens to the log now is whom it was set up for."""
        return _ROOT.handlers == self.handlers

    def quoted(self, text: str) -> str:
        """A text without secrets as a JSON string."""
        if not _PLAIN.fullmatch(text) or (self._plain_secrets and any(map(text.__contains__, self._plain_secrets))):
            text = redact(text, also=self.secrets)
        return encode_basestring_ascii(text)

    def write(self, line: str) -> None:
        """Writes it soon; at once outside an event loop."""
        self._waiting.append(line)
        if len(self._waiting) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:
                self.flush()
        elif len(self._waiting) >= _MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Writes what waits."""
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


def _record_of(line: str) -> logging.LogRecord:
    return logging.makeLogRecord({RENDERED: line, "levelno": logging.INFO})


_outlet: _Outlet | None = None


def write_to(handlers: Sequence[logging.Handler] | None, hidden: Sequence[str]) -> None:
    """Tells where the process's log goes; None where it is not JSON, and lines are written the long way."""
    global _outlet
    flush()
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
        self._template = ""
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
            self._template, self._rendered_for = self._rendered(outlet), outlet
        told = [outlet.quoted(value) if isinstance(value, str) else value for value in values]
        outlet.write(self._template % (_timestamp(), *told))

    def _rendered(self, outlet: _Outlet) -> str:
        """The line as a template: a `%s` stands for the time and for each value that changes."""
        mark = secrets.token_hex(16)
        event = {"timestamp": mark, "level": "info", "event": self._event, **self._fields, "logger": self._logger}
        line = json.dumps(
            {
                key: mark if key in self._changing else redact_value(value, also=outlet.secrets)
                for key, value in event.items()
            }
        )
        return line.replace("%", "%%").replace(f'"{mark}"', "%s")


_second: tuple[int, str] = (0, "")


def _timestamp() -> str:
    """Now, as structlog writes it, in quotes."""
    global _second
    now = time()
    second = int(now)
    if _second[0] != second:
        _second = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f'"{_second[1]}.{int((now - second) * 1e6):06}Z"'
