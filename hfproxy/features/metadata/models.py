"""What is kept of one answer."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hfproxy.upstream.headers import ERROR_CODE

_ABSENT: Final = "EntryNotFound"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A whole answer, as its caller got it; `said_at_s` is when the Hub said it (seconds since the epoch)."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    said_at_s: float

    @property
    def status(self) -> int:
        """200, or the 404 of a path that a revision does not have."""
        return 404 if error_code(self.headers) == _ABSENT else 200

    def younger_than(self, age_s: float) -> bool:
        """Whether it is; an answer from the future, after the clock jumped, is not."""
        return -1 <= time.time() - self.said_at_s < age_s


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What selects an answer: the question, and to whom it is told."""

    repo: str
    audience: str
    method: str
    target: str
    body: bytes = b""

    @property
    def digest(self) -> str:
        """The key as one short text."""
        parts = (self.repo, self.audience, self.method, self.target)
        text = "\0".join(parts).encode("utf-8", "surrogateescape") + b"\0" + self.body
        return hashlib.sha256(text).hexdigest()


def lasts(status: int, headers: Iterable[tuple[str, str]]) -> bool:
    """Whether such an answer is kept: a good one, and the absence of a path, which a commit never gains.

    `datasets` asks for the folder `data/` of every repository whose card names no files.
    """
    return status == 200 or (status == 404 and error_code(headers) == _ABSENT)


def error_code(headers: Iterable[tuple[str, str]]) -> str | None:
    """What the Hub calls an error."""
    return next((value for name, value in headers if name.casefold() == ERROR_CODE.casefold()), None)
