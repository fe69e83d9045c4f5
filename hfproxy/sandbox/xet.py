"""What the Hub says of Xet: hashes, links and tokens. Behind them is no store yet, so nothing can be fetched by them.

Sources: contract sections 4.2 (B, E) and 5.2.
"""

import hashlib
from typing import Any

from hfproxy.upstream.headers import LINKED_ETAG, LINKED_SIZE

from .pointers import Pointer
from .repository import Repository

CAS_URL = "https://cas-server.xethub.hf.co"
FILEINFO = "application/vnd.xet-fileinfo+json"


def xet_hash(pointer: Pointer) -> str:
    """A hash as long as Xet's, the same for the same file; not what Xet would compute."""
    return hashlib.blake2b(pointer.oid.encode(), digest_size=32).hexdigest()


def offer(base_url: str, repo: Repository, commit_hash: str, pointer: Pointer) -> dict[str, str]:
    """The headers of `resolve` that offer a file by Xet."""
    name = xet_hash(pointer)
    links = [
        f'<{_token_url(base_url, repo, commit_hash)}>; rel="xet-auth"',
        f'<{CAS_URL}/v1/reconstructions/{name}>; rel="xet-reconstruction-info"',
    ]
    return {"X-Xet-Hash": name, "Link": ", ".join(links)}


def fileinfo(
    base_url: str, repo: Repository, commit_hash: str, pointer: Pointer
) -> tuple[dict[str, Any], dict[str, str]]:
    """E: a large file's metadata in the form that only clients of Xet ask for; body and headers."""
    name = xet_hash(pointer)
    body = {
        "hash": name,
        "refreshUrl": _token_url(base_url, repo, commit_hash),
        "reconstructionUrl": f"{CAS_URL}/v1/reconstructions/{name}",
        "etag": f'"{pointer.oid}"',
        "size": pointer.size_bytes,
    }
    headers = {LINKED_SIZE: str(pointer.size_bytes), LINKED_ETAG: f'"{pointer.oid}"', "X-Xet-Hash": name}
    return body, {**headers, "Content-Type": FILEINFO}


def by_xet(base_url: str, repo: Repository, answer: dict[str, Any]) -> dict[str, Any]:
    """One object of an LFS batch answer, its upload by Xet in place of a plain one (contract 5.5)."""
    if "actions" not in answer:
        return answer
    href = f"{base_url}{repo.ref.api_path}/xet-write-token/main"
    return {**answer, "actions": {"upload": {"href": href, "header": {"X-Xet-Cas-Url": CAS_URL}}}}


def _token_url(base_url: str, repo: Repository, commit_hash: str) -> str:
    return f"{base_url}{repo.ref.api_path}/xet-read-token/{commit_hash}"
