"""Counts downloads: one per caller and repository in five minutes, however many files were asked for.

Of models only certain files count, so that a card that is looked at is no download.
Source: hub-docs `hub/models-download-stats.md` and `hub/datasets-download-stats.md`.
"""

import time
from collections.abc import Callable
from typing import Final

from hfproxy.upstream.refs import RepoType

from .repository import Repository

_WINDOW_S: Final = 300
_QUERY_FILES: Final = frozenset({"config.json", "config.yaml", "hyperparams.yaml", "params.json", "meta.yaml"})
_WEIGHTS: Final = (".safetensors", ".onnx", ".gguf", ".bin", ".pt", ".ckpt", ".h5")
_MOST_REMEMBERED: Final = 10_000


class Downloads:
    """Remembers who downloaded what in the last minutes."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._latest_s: dict[tuple[str, str], float] = {}

    def counts(self, repo: Repository, path: str, who: str) -> bool:
        """Whether asking for this file is one more download; if so, it is counted on the record."""
        if repo.repo_type is RepoType.MODEL and path not in _QUERY_FILES and not path.endswith(_WEIGHTS):
            return False
        key, now_s = (repo.record.oid, who), self._clock()
        if now_s < self._latest_s.get(key, -_WINDOW_S) + _WINDOW_S:
            return False
        if len(self._latest_s) >= _MOST_REMEMBERED:
            self._latest_s.clear()
        self._latest_s[key] = now_s
        repo.record.downloads += 1
        repo.record.downloads_all_time += 1
        return True
