"""Which objects of a bucket make up a blob, and how they are named.

    <prefix>/sha256/1f/1f40fc92…/<series>/<block>

Each writer of a blob has a series of its own, so no object is ever written twice: a writer that was thought dead and
wakes up writes beside what others made of the blob meanwhile, never over it. A blob is a map from block to series,
printed as `series:first-last,block;series:…`.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby

from hfproxy.storage.blobs import BlobKey

Objects = Mapping[int, str]
"""Block → series."""


def object_name(key: BlobKey, series: str, block: int) -> str:
    """Where one block lies below the prefix."""
    return f"{key.algorithm}/{key.digest[:2]}/{key.digest}/{series}/{block:08}"


def names(key: BlobKey, objects: Objects) -> list[str]:
    """Every object of a blob."""
    return [object_name(key, series, block) for block, series in sorted(objects.items())]


def printed(objects: Objects) -> str:
    """The map as one short text."""
    by_series: dict[str, list[int]] = {}
    for block, series in sorted(objects.items()):
        by_series.setdefault(series, []).append(block)
    return ";".join(f"{series}:{','.join(_runs(blocks))}" for series, blocks in by_series.items())


def parsed(text: str) -> dict[int, str]:
    """The map that was printed."""
    objects: dict[int, str] = {}
    for part in filter(None, text.split(";")):
        series, _, runs = part.partition(":")
        for run in runs.split(","):
            first, _, last = run.partition("-")
            objects.update(dict.fromkeys(range(int(first), int(last or first) + 1), series))
    return objects


def _runs(blocks: list[int]) -> Iterator[str]:
    for _, group in groupby(enumerate(blocks), lambda pair: pair[1] - pair[0]):
        run = [block for _, block in group]
        yield str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"
