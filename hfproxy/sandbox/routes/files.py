"""Files: `resolve` in all the forms the Hub has, the cache it sends public ones to, and `raw`.

Source: contract section 4.2, whose letters stand at the functions.
"""

import mimetypes
from typing import Final
from urllib.parse import quote

from aiohttp import web

from hfproxy.upstream import headers
from hfproxy.upstream.refs import is_commit_hash

from ..answers import json_answer
from ..call import Call
from ..cdn import download_url
from ..history import Entry
from ..refusals import RevisionMissing
from ..repository import Repository
from ..routing import Routes
from ..sending import SMALLEST_ZIPPED_BYTES, Content, matches, send
from ..xet import FILEINFO, Offer, offered

routes = Routes()

# Contract section 1.4: readable without having passed the gate, on `resolve` alone.
_BEFORE_THE_GATE: Final = frozenset({"README.md", "LICENSE", "LICENSE.md", "LICENSE.txt"})
_SNIFFED_BYTES: Final = 8000
_HARMLESS: Final = "default-src 'none'; sandbox"


@routes.get("/{web}/{repo}/resolve/{revision}/{path:rest}")
async def resolve(call: Call) -> web.StreamResponse:
    """A file, or the way to it. D, a renamed repository, is told by `visible_repo`."""
    path = call.params["path"]
    repo = call.visible_repo() if path in _BEFORE_THE_GATE else call.readable_repo()
    commit_hash = repo.commit_hash(call.params["revision"])
    entry = repo.file(commit_hash, path)
    if call.hub.downloads.counts(repo, path, call.caller.name or call.request.remote or ""):
        call.hub.keep(repo)
    told = {headers.REPO_COMMIT: commit_hash}
    if matches(call.request.headers.get("If-None-Match"), f'"{entry.etag}"'):
        return web.Response(status=304, headers={**told, "ETag": f'"{entry.etag}"'})
    if entry.pointer is not None:
        if file := await offered(call.hub, entry.pointer):
            token_url = f"{call.base_url}{repo.ref.api_path}/xet-read-token/{commit_hash}"
            offer = Offer(call.hub, token_url, file)
            if FILEINFO in call.request.headers.get("Accept", ""):
                return json_answer(offer.fileinfo(), headers={**told, **offer.fileinfo_headers()})
            told |= offer.headers()
        return _to_cdn(call, repo, entry, told)
    if repo.record.visibility == "public" and not repo.record.gated:
        return _to_cache(call, repo, entry, commit_hash)
    return await _bytes(call, repo, entry, told)


@routes.get("/api/resolve-cache/{types}/{repo}/{revision}/{path:rest}")
async def resolve_cache(call: Call) -> web.StreamResponse:
    """A regular file at a commit: what its address means never changes, but who may read it can."""
    repo = call.readable_repo()
    if not is_commit_hash(call.params["revision"]):
        raise RevisionMissing(call.params["revision"])
    commit_hash = repo.commit_hash(call.params["revision"])
    return await _bytes(call, repo, repo.file(commit_hash, call.params["path"]), {headers.REPO_COMMIT: commit_hash})


@routes.get("/{web}/{repo}/raw/{revision}/{path:rest}")
async def raw(call: Call) -> web.StreamResponse:
    """A file as git has it: of a large one, the pointer. Never 304, and closed behind a gate."""
    repo = call.readable_repo()
    commit_hash = repo.commit_hash(call.params["revision"])
    content = repo.history.read(repo.file(commit_hash, call.params["path"]).oid)
    return web.Response(
        body=content,
        headers={
            headers.REPO_COMMIT: commit_hash,
            "Content-Type": _content_type(call.params["path"], content),
            "Content-Security-Policy": _HARMLESS,
        },
    )


def disposition(path: str, *, attached: bool = False) -> str:
    """A `Content-Disposition` that says a file's name twice, for old and for new readers (RFC 6266)."""
    name = "".join(letter for letter in path.rpartition("/")[2] if letter.isprintable())
    plain = name.encode("ascii", "replace").decode().replace("\\", "\\\\").replace('"', '\\"')
    kind = "attachment" if attached else "inline"
    return f"{kind}; filename*=UTF-8''{quote(name, safe='')}; filename=\"{plain}\";"


def _to_cdn(call: Call, repo: Repository, entry: Entry, told: dict[str, str]) -> web.Response:
    """B: a large file, redirected to a signed address on the CDN."""
    assert entry.pointer is not None
    name = disposition(entry.path, attached=call.flag("download"))
    location = download_url(call.hub, repo.record.oid, entry.pointer.oid, name)
    return web.Response(
        status=302,
        text=f"Found. Redirecting to {location}",
        headers={
            **told,
            "Location": location,
            headers.LINKED_SIZE: str(entry.pointer.size_bytes),
            headers.LINKED_ETAG: f'"{entry.pointer.oid}"',
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-store",
        },
    )


def _to_cache(call: Call, repo: Repository, entry: Entry, commit_hash: str) -> web.Response:
    """A: a regular file of a public repository, redirected to its address by commit."""
    where = f"/api/resolve-cache/{repo.repo_type.api_segment}/{repo.repo_id}/{commit_hash}/{quote(entry.path)}"
    etag = quote(f'"{entry.oid}"')
    location = f"{where}?{quote(call.raw_path, safe='')}=&etag={etag}"
    return web.Response(
        status=307,
        text=f"Temporary Redirect. Redirecting to {location}",
        headers={
            headers.REPO_COMMIT: commit_hash,
            "Location": location,
            "Accept-Ranges": "bytes",
            "Content-Disposition": disposition(entry.path, attached=call.flag("download")),
            "Content-Security-Policy": _HARMLESS,
        },
    )


async def _bytes(call: Call, repo: Repository, entry: Entry, told: dict[str, str]) -> web.StreamResponse:
    """C: the bytes themselves, text as gzip to those who take it."""
    body = repo.history.read(entry.oid)
    content_type = _content_type(entry.path, body)
    named = {
        **told,
        "Content-Disposition": disposition(entry.path, attached=call.flag("download")),
        "Content-Security-Policy": _HARMLESS,
        "Vary": "Origin, Accept",
    }
    content = Content(f'"{entry.oid}"', content_type, len(body), body=body)
    zipped = content_type.startswith("text/") and len(body) >= SMALLEST_ZIPPED_BYTES
    return await send(call.request, content, named, zipped=zipped)


def _content_type(path: str, content: bytes) -> str:
    """Text is plain text, whatever it calls itself, so that no browser runs it; the rest goes by its name."""
    sample = content[:_SNIFFED_BYTES]
    if b"\0" not in sample and _is_utf8(sample):
        return "text/plain; charset=utf-8"
    guessed = mimetypes.guess_type(path)[0] or ""
    return guessed if guessed.startswith(("image/", "audio/", "video/")) else "application/octet-stream"


def _is_utf8(sample: bytes) -> bool:
    """Whether bytes read as UTF-8, the last letter of a cut sample set aside."""
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return len(sample) == _SNIFFED_BYTES and error.start >= len(sample) - 3
    return True
