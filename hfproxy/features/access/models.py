"""A gateway key, as everybody but its owner knows it."""

from dataclasses import dataclass
from datetime import datetime

from hfproxy.downstream.access import Role


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """A key without its secret. repos: patterns; None: every repository."""

    id: str
    name: str
    role: Role
    repos: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def usable(self, now: datetime) -> bool:
        """Whether it opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def state(self, now: datetime) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if self.usable(now) else "expired"
