"""Which paths are files: a resource of the router that matches by parsing, so that the name is read once."""

from functools import lru_cache

from aiohttp.web_urldispatcher import DynamicResource

from hfproxy.upstream.refs import BadReference, FileRef

_LONGEST_REMEMBERED = 1024


def file_named(raw_path: str, verb: str = "resolve") -> tuple[FileRef, str] | None:
    """The file that a `resolve` or `raw` path names, and the one spelling of its repository; None for others."""
    return (_parsed if len(raw_path) <= _LONGEST_REMEMBERED else _parsed.__wrapped__)(raw_path, verb)


@lru_cache(maxsize=8192)
def _parsed(raw_path: str, verb: str) -> tuple[FileRef, str] | None:
    try:
        ref = FileRef.parse(raw_path, verb=verb)
    except BadReference:
        return None
    return ref, str(ref.repo.folded)


class FilePaths(DynamicResource):
    """Matches the undecoded paths that name a file (contract 9.1); its route parses nothing again."""

    def __init__(self, verb: str = "resolve") -> None:
        super().__init__(f"/{{file}}/{verb}/{{rest}}")
        self._verb, self._in_between = verb, f"/{verb}/"

    def _match(self, path: str) -> dict[str, str] | None:
        named = self._in_between in path and file_named(path, self._verb) is not None
        return {"file": path} if named else None
