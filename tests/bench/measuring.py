"""One load fired at a server, and what the server spent on it."""

from dataclasses import dataclass

from tests.bench.loads import Fired, Load, fire
from tests.bench.processes import Server


@dataclass(frozen=True)
class Measured:
    """One load, and the CPU time of the server that took it."""

    fired: Fired
    server_cpu_s: float

    @property
    def cpu_us(self) -> float:
        """Of one request."""
        return self.server_cpu_s * 1e6 / max(self.fired.requests, 1)


def measure(server: Server, load: Load, *, connections: int, seconds: float) -> Measured:
    """The load, fired; it must not fail once."""
    cpu_s = server.cpu_s()
    fired = fire(load, server.url, connections=connections, seconds=seconds)
    assert not fired.failed, f"{fired.failed} of {fired.requests} failed: {load.method} {load.path}"
    return Measured(fired, server.cpu_s() - cpu_s)
