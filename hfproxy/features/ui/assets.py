"""The files that pages are made of, read from the package once and sent from memory."""

import gzip
import hashlib
import mimetypes
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

# Names do not change with their content: browsers ask each time, and mostly hear 304.
_CACHING = "no-cache"
_MORE_TEXT = {"application/javascript", "image/svg+xml"}


class Asset:
    """One file: as it is, and compressed where that helps."""

    def __init__(self, name: str, body: bytes) -> None:
        self.body = body
        self.content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._is_text = self.content_type.startswith("text/") or self.content_type in _MORE_TEXT
        self._etag = hashlib.sha256(body).hexdigest()[:32]

    @cached_property
    def gzipped(self) -> bytes | None:
        """Made when the first browser asks: programs that serve an API never do."""
        return gzip.compress(self.body, mtime=0) if self._is_text and len(self.body) >= 1024 else None

    def answer(self, request: web.Request, headers: Mapping[str, str] | None = None) -> web.Response:
        """The file, compressed for those who take it so; 304 for those who have it."""
        zipped = self.gzipped if _takes_gzip(request) else None
        # A strong etag names exact bytes, and the compressed ones are others (RFC 9110 section 8.8.3.3).
        etag = f"{self._etag}-gz" if zipped else self._etag
        told = {"Cache-Control": _CACHING, "Vary": "Accept-Encoding", "ETag": f'"{etag}"', **(headers or {})}
        known = request.if_none_match or ()
        if any(tag.value in {etag, "*"} for tag in known):
            return web.Response(status=304, headers=told)
        if zipped:
            told["Content-Encoding"] = "gzip"
        return web.Response(
            body=zipped or self.body,
            headers=told,
            content_type=self.content_type,
            charset="utf-8" if self._is_text else None,
        )


@cache
def load_assets() -> Mapping[str, Asset]:
    """Every file below `static/`, by its path there: `home/home.css`."""
    return {name: Asset(name, file.read_bytes()) for name, file in _walk(files(__package__) / "static", "")}


def _walk(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{path}{entry.name}/")
        else:
            yield f"{path}{entry.name}", entry


def _takes_gzip(request: web.Request) -> bool:
    codings = [coding.replace(" ", "").lower() for coding in request.headers.get("Accept-Encoding", "").split(",")]
    return "gzip" in codings or any(
        coding.startswith("gzip;q=") and coding.removeprefix("gzip;q=").strip("0.") for coding in codings
    )
