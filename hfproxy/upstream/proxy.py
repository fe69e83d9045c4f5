"""The corporate proxy on the way to the Hub.

Read from our own settings (`HTTPS_PROXY` and `NO_PROXY` are other names of two of them) and not by aiohttp's
`trust_env`, which would also take passwords out of `~/.netrc` and send them to the Hub.
"""

import re
from base64 import b64encode
from ipaddress import ip_address, ip_network

from aiohttp import ClientRequest
from multidict import CIMultiDict
from yarl import URL

from hfproxy.loopback import is_loopback_name

# A bare IPv6 address has colons too, and no port.
_WITH_PORT = re.compile(r"(?P<host>\[[^]]+\]|[^:]+):(?P<port>\d{1,5})")


class HubProxy:
    """Sends what goes to an https address through a CONNECT proxy; the proxy sees the host's name and no more.

    Never for loopback, nor for plain http, where the proxy would read the token.

    url: with the proxy's user and password, if it wants them. exceptions: as in `NO_PROXY`, separated by commas: `*`,
    a host (which stands for its subdomains too), `host:port`, an IP address, a network (`10.0.0.0/8`).
    """

    def __init__(self, url: str, exceptions: str = "") -> None:
        given = URL(url)
        self._url = given.with_user(None)
        self._headers = CIMultiDict[str]()
        if given.user is not None:
            pair = f"{given.user}:{given.password or ''}"
            self._headers["Proxy-Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        self._exceptions = [entry for part in exceptions.split(",") if (entry := part.strip().lower())]

    def takes(self, url: URL) -> bool:
        """Whether the way to this address leads through the proxy."""
        host = (url.host or "").rstrip(".").lower()
        if url.scheme not in {"https", "wss"} or is_loopback_name(host):
            return False
        return not any(_excepts(entry, host, url.port) for entry in self._exceptions)

    def direct(self, request: ClientRequest) -> None:
        """Sends a request that is about to be connected through the proxy, if its address wants that."""
        if self.takes(request.url):
            request.update_proxy(self._url, None, self._headers)


def _excepts(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    if match := _WITH_PORT.fullmatch(entry):
        if int(match["port"]) != port:
            return False
        entry = match["host"]
    entry = entry.strip("[]")
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        suffix = entry.removeprefix("*").lstrip(".")
        return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))
