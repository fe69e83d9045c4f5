"""The double from the outside: a process, told how to behave and asked what it saw."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.bench.processes import Server, python_server


@dataclass(frozen=True)
class DoubleHub:
    """A running double."""

    server: Server

    @property
    def url(self) -> str:
        return self.server.url

    def behave(
        self, *, latency_s: float = 0, connection_cap: float | None = None, total_cap: float | None = None
    ) -> None:
        """Sets latency and caps (bytes per second) from the next answer on."""
        told = {"latency_s": latency_s, "connection_cap": connection_cap, "total_cap": total_cap}
        self._ask("PUT", told)

    def counts(self) -> dict[str, Any]:
        """`connections`, `requests`, `bytes_sent`, `by_kind` since the last `forget`; this call is not in it."""
        return self._ask("GET")

    def forget(self) -> None:
        """Begins to count anew."""
        self._ask("DELETE")

    def _ask(self, method: str, told: dict[str, Any] | None = None) -> dict[str, Any]:
        body = json.dumps(told).encode() if told is not None else None
        asked = urllib.request.Request(f"{self.url}/-/double", method=method, data=body)
        with urllib.request.urlopen(asked, timeout=30) as response:
            return json.load(response)  # type: ignore[no-any-return]


@contextmanager
def double_hub() -> Iterator[DoubleHub]:
    """A double of its own process."""
    with python_server("tests.bench.double") as server:
        yield DoubleHub(server)
