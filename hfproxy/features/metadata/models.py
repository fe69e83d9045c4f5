"""What is kept of one answer."""

import hashlib
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A whole answer, as its caller got it; `said_at_s` is when the Hub said it (seconds since the epoch)."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    said_at_s: float

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
