"""What listings of commits said of small files: a hint how to ask for one, never an answer about it."""

from collections import OrderedDict

from hfproxy.storage.blobs import Algorithm, BlobKey
from hfproxy.upstream.documents import read_document
from hfproxy.upstream.refs import is_commit_hash

_MOST_FILES = 20_000
# Longer listings take too long to be read while others wait; the Hub's pages are far shorter (contract 3.3).
_LONGEST_LISTING_BYTES = 1024**2


class Listed:
    """The files that git itself keeps and that are small, by commit; the commits most recently listed."""

    def __init__(self, *, small_bytes: int) -> None:
        self._small_bytes = small_bytes
        self._commits: OrderedDict[tuple[str, str], dict[str, BlobKey]] = OrderedDict()
        self._pages: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._count = 0

    def take_in(self, repo: str, commit_hash: str | None, target: str, listing: bytes) -> None:
        """Reads a page of a tree (contract 3.3), once. target: what was asked for it."""
        if commit_hash is None or not is_commit_hash(commit_hash) or len(listing) > _LONGEST_LISTING_BYTES:
            return
        of = (repo, commit_hash.lower())
        if (repo, target) in self._pages and of in self._commits:
            return
        self._pages[repo, target] = None
        if len(self._pages) > _MOST_FILES:
            self._pages.popitem(last=False)
        try:
            entries = read_document(listing)
        except ValueError:
            return
        files = self._commits.setdefault(of, {})
        self._commits.move_to_end(of)
        before = len(files)
        files.update(self._small_files(entries))
        self._count += len(files) - before
        while self._count > _MOST_FILES:
            _, dropped = self._commits.popitem(last=False)
            self._count -= len(dropped)

    def small_file(self, repo: str, revision: str, path: str) -> BlobKey | None:
        """What a small file's bytes are called, if a listing of that commit said so."""
        files = self._commits.get((repo, revision.lower()))
        return files.get(path) if files is not None else None

    def _small_files(self, entries: object) -> dict[str, BlobKey]:
        found = {}
        for entry in entries if isinstance(entries, list) else ():
            match entry:
                case {"type": "file", "path": str(path), "size": int(size), "oid": str(oid)} if (
                    0 <= size <= self._small_bytes and not entry.get("lfs") and not entry.get("xetHash")
                ):
                    key = BlobKey.from_etag(oid)
                    if key is not None and key.algorithm is Algorithm.GIT:
                        found[path] = key
        return found
