"""Where a request came from and which address it was sent to, seen through the proxies in front of us.

What a proxy says (`Forwarded`, RFC 7239, or the older `X-Forwarded-*`) is believed only from the networks named in
`server.trusted_proxies`: everybody else could say the same. Of the two forms only the one that the proxies are known to
set is read (`server.forwarded_header`); a client could fill in the other, and most proxies would pass it on.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDictProxy

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
ForwardedHeader = Literal["x-forwarded", "forwarded"]

# RFC 7239 section 4: token=token or token="quoted string", of which only what parses is believed.
_PAIR = re.compile(r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*)\s*(;|,|$)""")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_LONGEST_HOST = 261  # RFC 1035 section 2.3.4, and a port
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sent a request, and under which address they see this gateway.

    address: the client's, None where it cannot be known (a Unix socket, an unreadable header). scheme, host and prefix
    are what stands in the client's URLs: `https`, `hub.acme.example:8443`, nothing or `/hub`. proxied: a proxy stood
    between.
    """

    address: IPAddress | None
    scheme: str
    host: str
    prefix: str
    proxied: bool
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Each request of a connection is looked up by the same origin, and an address's hash is costly.
        object.__setattr__(self, "_hash", hash((self.address, self.scheme, self.host, self.prefix, self.proxied)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def base_url(self) -> str:
        """What the client's URLs begin with, without a slash at the end."""
        return f"{self.scheme}://{self.host}{self.prefix}"

    @property
    def host_name(self) -> str:
        """The host without its port and without brackets, in lower case."""
        return split_host(self.host)[0]


ORIGIN: Final = web.RequestKey("origin", Origin)


class Head(Protocol):
    """The beginning of a request, as aiohttp's requests have it. remote: the socket's other end."""

    @property
    def headers(self) -> CIMultiDictProxy[str]: ...

    @property
    def remote(self) -> str | None: ...

    @property
    def secure(self) -> bool: ...


class TrustedProxies:
    """Reads the origin of requests; `networks` are the proxies that are believed."""

    def __init__(self, networks: Iterable[IPNetwork] = (), *, header: ForwardedHeader = "x-forwarded") -> None:
        self._networks = tuple(networks)
        self._header = header

    def origin_of(self, request: Head) -> Origin:
        """The origin of this request; what cannot be read is as if it were not there."""
        headers = request.headers
        host = headers.get("Host", "localhost")  # HTTP/1.0 may leave it out
        plain = _unproxied(request.remote, request.secure, host[: _LONGEST_HOST + 1], _went_through(headers))
        if not self._networks or plain.address is None or not self._trusts(plain.address):
            return plain
        if self._header == "forwarded":
            return self._from_forwarded(request, plain)
        return self._from_x_forwarded(request, plain)

    def _from_x_forwarded(self, request: Head, plain: Origin) -> Origin:
        hops = _listed(request.headers.getall("X-Forwarded-For", ()))
        return Origin(
            address=self._nearest_untrusted(hops, plain.address),
            scheme=_scheme(_last(request, "X-Forwarded-Proto")) or plain.scheme,
            host=_host(_last(request, "X-Forwarded-Host")) or plain.host,
            prefix=_prefix(_last(request, "X-Forwarded-Prefix")),
            proxied=plain.proxied,
        )

    def _from_forwarded(self, request: Head, plain: Origin) -> Origin:
        elements = list(parse_forwarded(", ".join(request.headers.getall("Forwarded", ()))))
        last = elements[-1] if elements else {}
        return Origin(
            address=self._nearest_untrusted([element.get("for", "") for element in elements], plain.address),
            scheme=_scheme(last.get("proto", "")) or plain.scheme,
            host=_host(last.get("host", "")) or plain.host,
            prefix=_prefix(_last(request, "X-Forwarded-Prefix")),
            proxied=plain.proxied,
        )

    def _nearest_untrusted(self, hops: Sequence[str], peer: IPAddress | None) -> IPAddress | None:
        """The last address that a trusted proxy has seen itself: what stands further left anybody may have written."""
        for hop in reversed(hops):
            address = address_of(hop)
            if address is None or not self._trusts(address):
                return address
            peer = address
        return peer

    def _trusts(self, address: IPAddress) -> bool:
        return any(address in network for network in self._networks)


def address_of(text: str | None) -> IPAddress | None:
    """An address out of `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]:80`; IPv4 in IPv6 is taken out of it."""
    if not text:
        return None
    text = text.strip().strip('"')
    if text.startswith("[") and "]" in text:
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def split_host(host: str) -> tuple[str, str]:
    """Name and port (or nothing) of a `Host` header; brackets are taken off, the name is in lower case."""
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        return name.lower(), rest.removeprefix(":")
    name, _, port = host.partition(":")
    return name.lower().removesuffix("."), port


def parse_forwarded(value: str) -> Iterator[dict[str, str]]:
    """The elements of a `Forwarded` header, oldest first; parameter names in lower case, quotes taken off.

    It ends at the first thing that RFC 7239 does not allow: half of a broken header is not to be trusted.
    """
    element: dict[str, str] = {}
    position = 0
    while position < len(value):
        if not (match := _PAIR.match(value, position)):
            return
        name, text, delimiter = match.groups()
        element[name.lower()] = re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
        position = match.end()
        if delimiter != ";":
            yield element
            element = {}


def origins(proxies: TrustedProxies) -> Middleware:
    """A middleware that puts its origin on each request."""

    @web.middleware
    async def place_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[ORIGIN] = proxies.origin_of(request)
        return await handler(request)

    return place_origin


@lru_cache(maxsize=4096)
def _unproxied(remote: str | None, secure: bool, host: str, proxied: bool) -> Origin:
    """The origin as the socket and the Host header tell it; remembered, since few addresses send most requests."""
    return Origin(address_of(remote), "https" if secure else "http", _host(host) or "invalid", "", proxied)


def _went_through(headers: CIMultiDictProxy[str]) -> bool:
    return "X-Forwarded-For" in headers or "Forwarded" in headers or "X-Real-IP" in headers or "Via" in headers


def _listed(values: Iterable[str]) -> list[str]:
    return [part for value in values for part in value.split(",")]


def _last(request: Head, name: str) -> str:
    """The last value: the one that the nearest proxy wrote."""
    values = _listed(request.headers.getall(name, ()))
    return values[-1].strip() if values else ""


def _scheme(text: str) -> str:
    return text.lower() if text.lower() in {"http", "https"} else ""


def _host(text: str) -> str:
    return text if len(text) <= _LONGEST_HOST and _HOST.fullmatch(text) else ""


def _prefix(text: str) -> str:
    text = text.rstrip("/")
    return text if _PREFIX.fullmatch(text) else ""
