"""How long a measurement may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """seconds: of load for one cell in one round."""

    rounds: int = 5
    seconds: float = 2.0
