"""A soak: everything at once for a while, and whether memory and open files stay as they were."""

import itertools
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import mean

from tests.bench.charts import Chart
from tests.bench.double.content import SyntheticFile
from tests.bench.double.control import DoubleHub, double_hub
from tests.bench.downloads import begin, download
from tests.bench.effort import Effort
from tests.bench.loads import Load, fire
from tests.bench.processes import Server, gateway
from tests.bench.reports import Report, Table

_MIB = 1024**2
_PARTS, _LARGE_FILES = 6, 24
_SMALL = SyntheticFile("soaked", 4096)


@dataclass(frozen=True)
class Seen:
    """The process after one turn. at_s: since the soak began."""

    at_s: float
    memory_mib: float
    sockets: int


def soak(effort: Effort) -> Report:
    """Memory over a soak of new, kept, killed and relayed transfers; `--minutes 60` makes it an hour."""
    with ExitStack() as stack:
        hub = stack.enter_context(double_hub())
        ours = stack.enter_context(gateway(hub.url, HFPROXY_STORAGE__MAX_SIZE="256MiB"))
        seen = _seen(hub, ours, effort.minutes * 60)
    parts = [
        [one.memory_mib for one in seen if part <= one.at_s / seen[-1].at_s * _PARTS < part + 1 or one is seen[-1]]
        for part in range(_PARTS)
    ]
    means = [mean(part) for part in parts]
    settled = means[_PARTS // 2 - 1]
    return Report(
        name="soak",
        title="A soak",
        method=f"{seen[-1].at_s / 60:.1f} minutes of turns, one after the other: a new file of 16 MiB, one "
        "whose client is killed, a part of a third, 64 new small files, and a second each of a kept small file and of "
        "a relayed call from 32 connections; room for 256 MiB, so that older files make way all the time.",
        findings=[
            f"{len(seen)} turns; {settled:.0f} MiB by the middle, {means[-1]:.0f} MiB in the last sixth "
            f"({means[-1] - settled:+.0f} MiB); {seen[0].sockets} sockets after the first turn, "
            f"{seen[-1].sockets} after the last."
        ],
        tables=[
            Table(
                ["sixth of the time", "resident MiB, mean", "most"],
                [[str(n + 1), f"{mean(part):.0f}", f"{max(part):.0f}"] for n, part in enumerate(parts)],
            )
        ],
        charts=[
            Chart(
                "soak",
                "Resident memory over a soak",
                "MiB",
                ["mean"],
                [(f"sixth {n + 1}", [each]) for n, each in enumerate(means)],
            )
        ],
    )


def _seen(hub: DoubleHub, ours: Server, seconds: float) -> list[Seen]:
    begun, seen = time.monotonic(), list[Seen]()
    for turn in itertools.count():
        _turn(hub, ours, turn)
        seen.append(Seen(time.monotonic() - begun, ours.memory_mib(), ours.sockets()))
        if seen[-1].at_s >= seconds and len(seen) >= _PARTS:
            return seen
    raise AssertionError


def _turn(hub: DoubleHub, ours: Server, turn: int) -> None:
    def url(kind: str, number: int, size_bytes: int) -> str:
        return f"{ours.url}/bench/files/resolve/main/{SyntheticFile(f'{kind}{number}', size_bytes).name}"

    # Room is for fewer than these, so that the same names are new again, and the double's disk does not fill.
    again = turn % _LARGE_FILES
    download(url("new", again, 16 * _MIB))
    killed = begin(url("killed", again, 16 * _MIB), "--limit-rate", "8M")
    download(url("ranged", again, 16 * _MIB), "-r", f"{8 * _MIB}-{9 * _MIB - 1}")
    for number in range(64):
        with urllib.request.urlopen(url("small", turn * 64 + number, 2048), timeout=60) as response:
            assert len(response.read()) == 2048
    for load in (
        Load("GET", f"/bench/files/resolve/main/{_SMALL.name}"),
        Load("GET", "/api/models-tags-by-type"),
    ):
        fired = fire(load, ours.url, connections=32, seconds=1)
        assert not fired.failed, f"{fired.failed} of {fired.requests} failed: {load.path}"
    killed.kill()
    killed.communicate()
