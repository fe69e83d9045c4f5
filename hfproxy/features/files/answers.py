"""How a file is told: the headers that every generation of clients finds all it needs in (contract 4.3, 4.4)."""

from urllib.parse import quote

from hfproxy.features.files.lookup import Found
from hfproxy.storage.pointers import FileEntry
from hfproxy.upstream.headers import LINKED_ETAG, LINKED_SIZE, REPO_COMMIT


def file_headers(found: Found, *, status: str, download: bool) -> dict[str, str]:
    """Headers of a 200, 206 or 304; offers no Xet, since what is kept is sent over HTTP."""
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
        "Cache-Status": f"hfproxy; {status}",
    }
    if entry.is_lfs:
        headers[LINKED_ETAG] = f'"{entry.etag}"'
        headers[LINKED_SIZE] = str(entry.size_bytes)
    return headers


def object_headers(entry: FileEntry, *, status: str) -> dict[str, str]:
    """The same for an LFS object, which git-lfs asks for: it has no name and no commit."""
    return {
        "ETag": f'"{entry.etag}"',
        "Accept-Ranges": "bytes",
        "Content-Type": entry.content_type,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Cache-Status": f"hfproxy; {status}",
    }


def _disposition(found: Found, *, download: bool) -> str:
    told = found.entry.content_disposition
    if told is None:
        name = found.way.file.path.rpartition("/")[2]
        plain = name.encode("ascii", "replace").decode().replace('"', "?").replace("\\", "?")
        told = f"inline; filename*=UTF-8''{quote(name, safe='')}; filename=\"{plain}\";"
    return told.replace("inline", "attachment", 1) if download and told.startswith("inline") else told
