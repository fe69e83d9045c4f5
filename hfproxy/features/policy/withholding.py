"""Takes the files that a caller may not read out of what is told of a repository, so that clients do not ask for them.

Without it `snapshot_download` would break off at the first file that is denied. The caller is told how many there are.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hfproxy.upstream.calls import Kind
from hfproxy.upstream.documents import print_document, read_document

# `huggingface_hub` prints it once for each topic (`utils/_http.py`, `_warn_on_warning_headers`).
WARNING = "X-HF-Warning"
Withholds = Callable[[str, int | None], Awaitable[bool]]
"""Whether a file of this path and size, as far as it is told, is one that the caller may surely not read."""


@dataclass(frozen=True, slots=True)
class Told:
    """A body, and how many files were taken out of it."""

    body: bytes
    withheld: int = 0

    @property
    def warning(self) -> str:
        what = "1 file is" if self.withheld == 1 else f"{self.withheld} files are"
        return f"policy; {what} not shown, since this gateway's policy does not let you read them"


async def without_withheld(kind: Kind, body: bytes, withholds: Withholds) -> Told:
    """The body of a tree, of paths-info or of repository info; the very same bytes where nothing is withheld."""
    try:
        document = read_document(body)
    except ValueError:
        return Told(body)
    if kind is Kind.INFO:
        entries = document.get("siblings") if isinstance(document, dict) else None
        kept = await _kept(entries, "rfilename", withholds) if isinstance(entries, list) else entries
        if isinstance(document, dict) and isinstance(kept, list):
            document["siblings"] = kept
    else:
        entries = document
        kept = document = await _kept(entries, "path", withholds) if isinstance(entries, list) else entries
    if not isinstance(entries, list) or not isinstance(kept, list) or len(kept) == len(entries):
        return Told(body)
    return Told(print_document(document), len(entries) - len(kept))


async def _kept(entries: list[Any], name: str, withholds: Withholds) -> list[Any]:
    return [entry for entry in entries if not await _is_withheld(entry, name, withholds)]


async def _is_withheld(entry: Any, name: str, withholds: Withholds) -> bool:
    if not isinstance(entry, dict) or entry.get("type") == "directory" or not isinstance(entry.get(name), str):
        return False
    lfs = entry.get("lfs")
    size = lfs.get("size") if isinstance(lfs, dict) else entry.get("size")
    return await withholds(entry[name], size if isinstance(size, int) else None)
