"""The Hub's own addresses, told from all others and printed under another base."""

import re
from typing import NamedTuple, Self

from yarl import URL

# A client that meets one of these goes round the gateway, and newer ones take their token along (hub client 2.4
# `utils/_http.py`, `_HUB_ORIGINS`).
PUBLIC_HUBS = (
    "https://huggingface.co",
    "https://hf.co",
    "https://hub-ci.huggingface.co",
    "http://huggingface.co",
    "https://www.huggingface.co",
)
_ABSOLUTE = re.compile(r"(?i:(https?)://)([^/?#\\]*)(.*)", re.DOTALL)
_DEFAULT_PORT = {"http": ":80", "https": ":443"}


class Origin(NamedTuple):
    """Whom an address speaks to: the port is the same whether it is said or goes without saying.

    `URL.origin()` tells `https://hub` and `https://hub:443` apart where an address was built from its parts.
    """

    scheme: str
    host: str | None
    port: int | None

    @classmethod
    def of(cls, url: URL) -> Self:
        """Raises ValueError for an address whose host or port cannot be read."""
        return cls(url.scheme, url.host, url.port)


class HubAddresses:
    """Knows which absolute addresses are the Hub's: those of the configured endpoint, and the public Hub's names.

    The public names count whatever the endpoint is: a mirror, a sandbox or another gateway may quote them.
    """

    def __init__(self, endpoint: str) -> None:
        self._bases = []
        for base in (endpoint, *PUBLIC_HUBS):
            match = _ABSOLUTE.fullmatch(base)
            assert match is not None, base
            self._bases.append((_origin(match), match[3].rstrip("/")))

    def path_of(self, address: str) -> str | None:
        """What follows the Hub's base in an absolute address, byte for byte; None if it is not the Hub's."""
        if (match := _ABSOLUTE.fullmatch(address)) is None:
            return None
        origin, rest = _origin(match), match[3]
        for base_origin, base_path in self._bases:
            if origin == base_origin and rest.startswith(base_path):
                path = rest[len(base_path) :]
                if path == "" or path[0] in "/?#":
                    return path
        return None

    def under(self, base: str, address: str) -> str:
        """The same address under `base` if it is the Hub's, else as it is."""
        path = self.path_of(address)
        return address if path is None else base + path


def is_absolute(address: str) -> bool:
    """Whether an address names its host, with or without a scheme."""
    return _ABSOLUTE.fullmatch(address) is not None or address.startswith(("//", "/\\", "\\"))


def _origin(match: re.Match[str]) -> str:
    scheme, authority = match[1].lower(), match[2].lower()
    return f"{scheme}://{authority.removesuffix(_DEFAULT_PORT[scheme])}"
