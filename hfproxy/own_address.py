"""A gateway that is told to take itself for the Hub: each call would go round until no connection is left.

It happens where `HF_ENDPOINT` is set in the shell for clients, and the gateway is started in the same shell.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from hfproxy.settings import SANDBOX, Settings
from hfproxy.starting import CannotStart

_DEFAULT_PORTS = {"http": 80, "https": 443}
# To ask there is to ask this machine (Linux); to listen there is to listen at all of its addresses.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on


class OwnAddress(CannotStart):
    """The Hub's address is the one that this gateway listens on."""


def refuse_own_address(settings: Settings) -> None:
    """Raises OwnAddress. No name is asked of anybody: names of this machine and addresses are known."""
    endpoint, server = settings.upstream.endpoint, settings.server
    if endpoint == SANDBOX:
        return
    url = urlsplit(endpoint)
    port = url.port or _DEFAULT_PORTS[url.scheme]
    if port == server.port and _same_machine(url.hostname or "", server.host):
        raise OwnAddress(
            f"{endpoint} is where this gateway itself listens, so it cannot be its Hub. HF_ENDPOINT is the Hub's "
            "address here: if your shell has it for clients, unset it, or say which Hub by --upstream"
        )


def _same_machine(asked: str, listening: str) -> bool:
    """Whether who asks at this host reaches what listens at that one."""
    reached = _reached_at(asked)
    if listening in _EVERYWHERE:
        return any(_is_loopback(address) for address in reached)
    return not reached.isdisjoint(_reached_at(listening))


def _reached_at(host: str) -> frozenset[str]:
    """The addresses that a host stands for; another machine's name stands for itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return frozenset({"127.0.0.1", "::1"})
    return frozenset({_EVERYWHERE.get(host, host)})


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
