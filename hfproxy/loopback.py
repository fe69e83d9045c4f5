"""Which host names and addresses mean this machine, whoever is asked."""

from ipaddress import ip_address
from typing import Final

EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on
"""What listens at all addresses of this machine, and where to ask it from here."""


def is_loopback_name(name: str) -> bool:
    """Whether a host name can only mean this machine (RFC 6761 section 6.3 for `localhost` and all below it)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
