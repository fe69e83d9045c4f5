"""How the Hub offers large files by Xet: hashes, links and tokens. What is behind them is in `cas/`.

Sources: contract sections 4.2 (B, E), 5.2 and 5.5.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hfproxy.upstream.headers import LINKED_ETAG, LINKED_SIZE

from .callers import Caller
from .cas.store import XetFile
from .cas.tokens import Grant, Permission
from .history import Entry
from .hub import Hub
from .pointers import Pointer
from .repository import Repository

FILEINFO = "application/vnd.xet-fileinfo+json"


async def offered(hub: Hub, pointer: Pointer) -> XetFile | None:
    """The file to offer by Xet for a pointer, None where there is none."""
    return await hub.cas.offered_file(pointer) if hub.config.xet else None


async def offered_hashes(hub: Hub, entries: Iterable[Entry]) -> dict[str, str]:
    """The Xet hashes of large files by their sha256."""
    files = [await offered(hub, entry.pointer) for entry in entries if entry.pointer]
    return {file.sha256: file.name for file in files if file}


@dataclass(frozen=True, slots=True)
class Offer:
    """A file offered by Xet."""

    hub: Hub
    token_url: str
    """Where a token to read it is given out."""
    file: XetFile

    def headers(self) -> dict[str, str]:
        """Of `resolve`."""
        links = [
            f'<{self.token_url}>; rel="xet-auth"',
            f'<{self._reconstruction_url}>; rel="xet-reconstruction-info"',
        ]
        return {"X-Xet-Hash": self.file.name, "Link": ", ".join(links)}

    def fileinfo(self) -> dict[str, Any]:
        """E: the metadata in the form that only clients of Xet ask for."""
        return {
            "hash": self.file.name,
            "refreshUrl": self.token_url,
            "reconstructionUrl": self._reconstruction_url,
            "etag": f'"{self.file.sha256}"',
            "size": self.file.size_bytes,
        }

    def fileinfo_headers(self) -> dict[str, str]:
        return {
            **self.headers(),  # the links too: the JavaScript client reads them here
            LINKED_SIZE: str(self.file.size_bytes),
            LINKED_ETAG: f'"{self.file.sha256}"',
            "Content-Type": FILEINFO,
        }

    @property
    def _reconstruction_url(self) -> str:
        return f"{self.hub.cas_url}/v1/reconstructions/{self.file.name}"


@dataclass(frozen=True, slots=True)
class Access:
    """A way into the Xet store, told in both of its forms."""

    cas_url: str
    token: str
    expires_s: int

    def body(self) -> dict[str, Any]:
        return {"casUrl": self.cas_url, "exp": self.expires_s, "accessToken": self.token}

    def headers(self) -> dict[str, str]:
        return {
            "X-Xet-Cas-Url": self.cas_url,
            "X-Xet-Access-Token": self.token,
            "X-Xet-Token-Expiration": str(self.expires_s),
        }


def granted(hub: Hub, oid: str, revision: str, permission: Permission, caller: Caller) -> Access:
    """A new token for a repository or bucket, and a caller whose rights have been looked at."""
    expires_s = int(hub.now_s()) + hub.config.xet_tokens_last_s
    grant = Grant(oid, revision, permission, caller.name, expires_s)
    return Access(hub.cas_url, hub.cas.tokens.write(grant), expires_s)


def by_xet(base_url: str, repo: Repository, revision: str, access: Access, answer: dict[str, Any]) -> dict[str, Any]:
    """One object of an LFS batch answer, its upload by Xet in place of a plain one (contract 5.5)."""
    if "actions" not in answer:
        return answer
    href = f"{base_url}{repo.ref.api_path}/xet-write-token/{revision}"
    header = {**access.headers(), "X-Xet-Session-Id": secrets.token_hex(16)}
    return {**answer, "actions": {"upload": {"href": href, "header": header}}}
