"""What was asked of a sandbox, byte for byte, for tests and for people who wonder what a client really sends."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from multidict import CIMultiDictProxy

KEPT_REQUESTS = 10_000
KEPT_BODY_BYTES = 64 * 1024


@dataclass(slots=True)
class Asked:
    """One request: `raw_path` as it came, without the query; the body's first bytes, as far as a handler read it."""

    origin: str
    """ "hub", "cdn" or "cas"."""
    method: str
    raw_path: str
    query: str
    headers: CIMultiDictProxy[str]
    body: bytearray = field(default_factory=bytearray)
    status: int | None = None
    """What was answered, once it was."""

    def note_body(self, chunk: bytes) -> None:
        """Keep what there is room for."""
        self.body += chunk[: KEPT_BODY_BYTES - len(self.body)]

    def __str__(self) -> str:
        return f"{self.method} {self.raw_path}"


class Record:
    """The latest requests, oldest first."""

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque(maxlen=KEPT_REQUESTS)

    def add(self, asked: Asked) -> None:
        self._asked.append(asked)

    def clear(self) -> None:
        self._asked.clear()

    def __iter__(self) -> Iterator[Asked]:
        return iter(list(self._asked))

    def __len__(self) -> int:
        return len(self._asked)
