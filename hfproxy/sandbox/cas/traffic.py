"""What the store and the CDN gave and took, counted for tests and measurements."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Traffic:
    """Requests by what they were for, and bytes without headers: of xorbs both ways, and of files fetched whole."""

    requests: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    plain_bytes_out: int = 0

    def told(self) -> dict[str, object]:
        return {
            "requests": dict(self.requests),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "plain_bytes_out": self.plain_bytes_out,
        }

    def clear(self) -> None:
        self.requests.clear()
        self.bytes_in = self.bytes_out = self.plain_bytes_out = 0
