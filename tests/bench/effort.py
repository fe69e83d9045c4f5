"""How long a measurement may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """seconds: of load for one cell in one round. mib: of a large file. minutes: of the soak."""

    rounds: int = 3
    seconds: float = 2.0
    mib: int = 1024
    minutes: float = 0.5

    @classmethod
    def least(cls) -> "Effort":
        """What shows that everything runs, and little more."""
        return cls(rounds=1, seconds=1.0, mib=256, minutes=0.2)
