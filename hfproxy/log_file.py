"""The log file: rotated by size, followed when somebody else rotates it, and a full disk is told of in one line."""

import logging
import logging.handlers
import os
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

import structlog

log = structlog.get_logger(__name__)

_TELL_EVERY_S = 60.0


class LogFile(logging.handlers.RotatingFileHandler):
    """As the standard library's, whose file may be moved away, deleted or emptied by others (logrotate, with or without
    a signal), and which does not write a traceback to standard error for each line that finds no room."""

    _told_at = -_TELL_EVERY_S

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not None and self._is_elsewhere(self.stream.fileno()):
            with suppress(OSError):
                self.stream.close()
            self.stream = None  # as the standard library does: opened with the next line
        super().emit(record)

    def doRollover(self) -> None:  # noqa: N802 - its name there
        try:
            super().doRollover()
        except OSError as error:
            # A file that grows too large is better than none.
            self.stream = self._open()
            self._tell(error)

    def close(self) -> None:
        with suppress(OSError):  # told already
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name there
        if isinstance(error := sys.exception(), OSError):
            self._tell(error)
        else:
            super().handleError(record)

    def _is_elsewhere(self, fd: int) -> bool:
        """Whether the file that is open is not the one of that name any more."""
        try:
            return not os.path.samestat(Path(self.baseFilename).stat(), os.fstat(fd))
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _tell(self, error: OSError) -> None:
        # What is told comes here again, if only to fail once more.
        if (now := monotonic()) - self._told_at >= _TELL_EVERY_S:
            self._told_at = now
            log.error("log.unwritten", file=self.baseFilename, reason=error.strerror)
