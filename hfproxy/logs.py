"""What is logged: one line for each request, and the few events that no request's line shows.

Event names are `thing.happened`; `docs/logging.md` explains them. What is written, by us or through the standard
library's loggers, tracebacks included, passes `redaction.py` last.
"""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from hfproxy import repeated_lines
from hfproxy.log_file import LogFile
from hfproxy.redaction import redact_value
from hfproxy.settings import LoggingSettings
from hfproxy.starting import CannotStart
from hfproxy.unhurried import UnhurriedStream

EVENTS = {
    "server.started": "The gateway listens: `url`, and which Hub it speaks to (`upstream`)",
    "server.stopping": "A signal came; running requests may finish",
    "server.stopped": "All is closed",
    "certificate.loaded": "New connections are shown this certificate from now on",
    "certificate.expiring": "It is valid for less than two weeks more",
    "certificate.refused": "The files changed into something unusable; the certificate before them is still shown",
    "request.finished": "One request, answered or given up; its fields are listed below",
    "request.failed": "A fault of ours while answering; the traceback is with it",
    "request.unreadable": "Something that is not HTTP as it should be; it was refused, `detail` says why",
    "response.cut": "An answer that had begun could not be finished, so the connection was cut; `code` says why",
    "errand.finished": "A write whose caller had gone away has ended; `name` says which, `outcome` how",
    "blob.evicted": "A kept file was deleted to make room; `blob` names it, `size_bytes` is what that freed",
    "fill.interrupted": "A download broke and goes on at the missing byte; `wait_s` says when, `code` and `detail` why",
    "fill.failed": "A download ended before it was whole; what arrived stays for the next who asks",
    "fill.finished": "A file arrived whole, was verified and is kept; `blob` names it",
    "pins.changed": "Other repositories are pinned than before: `count` of them, with so many `blobs`, are not evicted",
    "fill.followed": "Another process or machine downloads this file; what it has is read as it comes",
    "xorb.interrupted": "A range of a xorb broke off on its way and is asked for again; `code` says why, "
    "`position` how far it came",
    "xorb.failed": "A range of a xorb did not arrive; who waited for it asks again",
    "xorb.refused": "What came as a range of a xorb is none, or another than its name or what is proven says; "
    "nothing of it is kept",
    "xorb.doubted": "Kept ranges of a xorb contradict each other, or their reader asked a second time: they "
    "are fetched anew",
    "xorb.gone": "A kept piece of a xorb is not there any more; it is fetched again",
    "server.draining": "A stop was asked for; the gateway serves on for `wait_s`, and `/-/ready` says 503 meanwhile",
    "worker.started": "A process took the place of one that had died; `worker` is its number",
    "worker.ended": "A worker died (`exit_code`, negative: a signal); another takes its place after `next_in_s`",
    "notices.unread": "What other processes learnt could not be asked of the database, or heeded; it is tried again",
    "pointer.stale": "The Hub could not be asked (`reason`), so what it said before was answered",
    "pointers.forgotten": "Names that nobody asked for in a long time, or that were too many, were forgotten (`count`)",
    "pointers.unread": "The database could not be asked what is kept, so the Hub was",
    "pointers.unwritten": "What the Hub said of its names could not be written down; it is asked again after a start",
    "store.bypassed": "The store could not take or give a file (`kind`, `reason`), so it was relayed from the Hub",
    "store.emptied": "Somebody deleted folders of the store while it was in use; they were made again in `folder`",
    "blobs.unwritten": "The database did not take what there was to note of the bucket; it is tried again",
    "blob.corrupt": "A kept file was not what its name says; it was deleted and fetched again",
    "sandbox.failed": "A fault of the built-in Hub's while answering; the traceback is with it",
    "webhook.taken": "A webhook of the Hub told of a write elsewhere; what is known of `repos` was forgotten",
    "webhook.dropped": "The built-in Hub had too many webhook calls waiting and let one go",
    "webhook.undelivered": "A webhook of the built-in Hub did not take its call, however often it was tried",
    "audit.outcome_lost": "A write was sent to the Hub, but its outcome could not be kept; `write_id` is in the trail",
    "policy.loaded": "The rules and limits of the policy's file hold from now on",
    "policy.refused": "The policy's file changed into something unusable (`reason`); the rules before it still hold",
    "keys.stale": "The database does not answer; the gateway keys of the last look hold",
    "log.dropped": "Nobody read standard error for so long that `lines` of the log were dropped",
    "log.unwritten": "The log file cannot be written (`reason`); its lines are lost until it can, told once a minute",
}


def set_up_logging(settings: LoggingSettings, *, secrets: Sequence[str] = ()) -> None:
    """Sends structlog and the standard library's loggers to one place, for the whole process.

    secrets: values that are hidden whatever they look like, above all the configured Hub token. Raises CannotStart.
    """
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    to_stderr = logging.StreamHandler(_standard_error())
    to_stderr.setFormatter(_console_formatter(secrets) if console else _json_formatter(secrets))
    handlers: list[logging.Handler] = [to_stderr]
    if settings.file is not None:
        handlers.append(_to_file(settings, settings.file, secrets))
    logging.basicConfig(handlers=handlers, level=settings.level.upper(), force=True)
    repeated_lines.write_to(None if console else handlers, secrets)
    logging.captureWarnings(True)
    # One line a request is ours to write (`request.finished`).
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _standard_error() -> "UnhurriedStream | TextIO":
    try:
        return UnhurriedStream(sys.stderr.fileno())
    except OSError:  # something that stands in for it, without a descriptor
        return sys.stderr


def _to_file(settings: LoggingSettings, path: Path, secrets: Sequence[str]) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = LogFile(
            path, maxBytes=int(settings.file_max_size), backupCount=settings.file_backups, encoding="utf-8"
        )
    except OSError as error:
        raise CannotStart(f"the log file {path} cannot be written: {error.strerror}") from None
    handler.setFormatter(_json_formatter(secrets))
    return handler


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


_FIRST = ("timestamp", "level", "event")


def _console_formatter(secrets: Sequence[str]) -> logging.Formatter:
    colours = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return _formatter(secrets, _without_control_characters, structlog.dev.ConsoleRenderer(colors=colours))


def _json_formatter(secrets: Sequence[str]) -> logging.Formatter:
    return _formatter(secrets, structlog.processors.JSONRenderer())


def _formatter(secrets: Sequence[str], *rendering: Processor) -> logging.Formatter:
    def redacted(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        first = {key: event[key] for key in _FIRST if key in event}
        return {key: redact_value(value, also=secrets) for key, value in {**first, **event}.items()}

    return _Formatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            # Tracebacks become text here, before the secrets in them are looked for.
            structlog.processors.format_exc_info,
            redacted,
            *rendering,
        ],
    )


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """As structlog's, but for lines that are rendered already."""

    def format(self, record: logging.LogRecord) -> str:
        rendered: str | None = getattr(record, repeated_lines.RENDERED, None)
        return super().format(record) if rendered is None else rendered


def _without_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For a terminal: nobody's words move its cursor or forge a line. A traceback keeps its line ends."""
    return {key: _printable(value, line_ends=key in _HAS_LINES) for key, value in event.items()}


_HAS_LINES = {"exception", "stack"}


def _printable(value: object, *, line_ends: bool) -> object:
    if not isinstance(value, str):
        return value
    return "".join(
        char if char.isprintable() or (line_ends and char in "\n\t") else char.encode("unicode_escape").decode()
        for char in value
    )
