"""How a file is told: the headers that every generation of clients finds all it needs in (contract 4.3, 4.4)."""

from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote

from hfproxy.features.files.lookup import HIT, Found
from hfproxy.features.passthrough.service import CAS_PATH
from hfproxy.storage.pointers import FileEntry
from hfproxy.upstream.headers import LINKED_ETAG, LINKED_SIZE, REPO_COMMIT, XET_HASH
from hfproxy.upstream.refs import FileRef, RepoRef

CACHE_STATUS: Final = "Cache-Status"
OFFER: Final = frozenset({XET_HASH, "Link"})
"""The headers of an offer of Xet."""


def cache_status(status: str = HIT) -> str:
    """What `Cache-Status` says (RFC 9211)."""
    return f"hfproxy; {status}"


@dataclass(frozen=True, slots=True)
class XetOffer:
    """How files are offered by Xet. base: the gateway as this client knows it; cas: our store's address, if any."""

    base: str
    cas: str | None

    @classmethod
    def at(cls, base: str, mode: str) -> Self:
        """The offer in this mode; in the direct one the store's own address comes with the token."""
        return cls(base, base + CAS_PATH if mode == "relay" else None)

    def headers(self, repo: RepoRef, commit_hash: str, xet_hash: str) -> dict[str, str]:
        """The headers of the offer (contract 4.2 B)."""
        links = [f'<{self.base}{repo.api_path}/xet-read-token/{commit_hash}>; rel="xet-auth"']
        if self.cas is not None:
            links.append(f'<{self.cas}/v1/reconstructions/{xet_hash}>; rel="xet-reconstruction-info"')
        return {XET_HASH: xet_hash, "Link": ", ".join(links)}


def file_headers(found: Found, *, status: str, download: bool, xet: XetOffer | None = None) -> dict[str, str]:
    """Headers of a 200, 206 or 304; `xet` is how the file is offered by Xet too, if it is."""
    entry = found.entry
    headers = {
        REPO_COMMIT: entry.commit_hash,
        "ETag": f'"{entry.etag}"',
        "Accept-Ranges": "bytes",
        "Content-Type": entry.content_type,
        "Content-Disposition": _disposition(found, download=download),
        # A page in a repository is not ours: it runs no scripts here, as it runs none on the Hub.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
        "Vary": "Origin, Authorization",
        CACHE_STATUS: cache_status(status),
    }
    if entry.is_lfs:
        headers[LINKED_ETAG] = f'"{entry.etag}"'
        headers[LINKED_SIZE] = str(entry.size_bytes)
    # Clients do not fall back to HTTP: where the Hub is away there is no token, and so no offer (contract 5.1).
    ref = found.way.ref
    if xet is not None and entry.xet_hash is not None and isinstance(ref, FileRef) and not found.stale:
        headers |= xet.headers(ref.repo, entry.commit_hash, entry.xet_hash)
    return headers


def object_headers(entry: FileEntry, *, status: str) -> dict[str, str]:
    """The same for an LFS object, which git-lfs asks for: it has no name and no commit."""
    return {
        "ETag": f'"{entry.etag}"',
        "Accept-Ranges": "bytes",
        "Content-Type": entry.content_type,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        CACHE_STATUS: cache_status(status),
    }


def _disposition(found: Found, *, download: bool) -> str:
    told = found.entry.content_disposition
    if told is None:
        name = found.way.file.path.rpartition("/")[2]
        plain = name.encode("ascii", "replace").decode().replace('"', "?").replace("\\", "?")
        told = f"inline; filename*=UTF-8''{quote(name, safe='')}; filename=\"{plain}\";"
    return told.replace("inline", "attachment", 1) if download and told.startswith("inline") else told
