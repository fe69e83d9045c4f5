"""How long a measurement may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """seconds: of load for one cell in one round. mib: of a large file. minutes: of the soak."""

    rounds: int = 5
    seconds: float = 2.0
    mib: int = 1024
    minutes: float = 0.5
