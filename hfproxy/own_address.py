"""A gateway that is told to take itself for the Hub: each call would go round until no connection is left.

It happens where `HF_ENDPOINT` is set in the shell for clients, and the gateway is started in the same shell.
"""

from yarl import URL

from hfproxy.loopback import EVERYWHERE, is_loopback_name
from hfproxy.settings import SANDBOX, Settings
from hfproxy.starting import CannotStart


class OwnAddress(CannotStart):
    """The Hub's address is the one that this gateway listens on."""


def refuse_own_address(settings: Settings) -> None:
    """Raises OwnAddress. No name is asked of anybody: names of this machine and addresses are known."""
    endpoint, server = settings.upstream.endpoint, settings.server
    if endpoint == SANDBOX:
        return
    url = URL(endpoint)
    if url.port == server.port and _same_machine(url.host or "", server.host):
        raise OwnAddress(
            f"{endpoint} is where this gateway itself listens, so it cannot be its Hub. HF_ENDPOINT is the Hub's "
            "address here: if your shell has it for clients, unset it, or say which Hub by --upstream"
        )


def _same_machine(asked: str, listening: str) -> bool:
    """Whether who asks at this host reaches what listens at that one."""
    if listening in EVERYWHERE:
        return asked in EVERYWHERE or is_loopback_name(asked)
    return not _reached_at(asked).isdisjoint(_reached_at(listening))


def _reached_at(host: str) -> frozenset[str]:
    """The addresses that a host stands for; another machine's name stands for itself.

    To ask at all addresses is to ask this machine (Linux).
    """
    if host == "localhost" or host.endswith(".localhost"):
        return frozenset({"127.0.0.1", "::1"})
    return frozenset({EVERYWHERE.get(host, host)})
