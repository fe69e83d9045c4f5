"""Starting: from exec to the first 200, and to the last line of `--help`."""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from tests.bench.double.control import double_hub
from tests.bench.effort import Effort
from tests.bench.processes import ROOT, Server, gateway, python_server, wait_for_200
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved, middle
from tests.support.command import environment

_BARE = "bare forwarder, to its first 200"
_SERVE = "hfproxy serve, to its first 200"


@dataclass(frozen=True)
class Started:
    """Seconds on the clock, and of CPU time of the process that started."""

    wall_s: float
    cpu_s: float


def starting(effort: Effort) -> Report:
    """Time from exec to the first 200 of `hfproxy serve`, and of `hfproxy --help`."""
    with double_hub() as hub, tempfile.TemporaryDirectory() as kept:
        forwarder = partial(python_server, "tests.bench.peers.aiohttp_peers", "forwarder", hub.url)
        cells: dict[str, Callable[[], Started]] = {
            "an empty Python program": partial(_command, "-c", "pass"),
            "a program that imports aiohttp.web": partial(_command, "-c", "import aiohttp.web"),
            _BARE: partial(_server, forwarder),
            "hfproxy --help": partial(_command, "-m", "hfproxy", "--help"),
            _SERVE: partial(_server, partial(gateway, hub.url, HFPROXY_STORAGE__ROOT=kept)),
            "hfproxy serve for the first time, its database made": partial(_server, partial(gateway, hub.url)),
            "hfproxy serve on the demo sandbox, first time": partial(_server, partial(gateway, "sandbox")),
        }
        for start in cells.values():
            start()
        results = interleaved(cells, rounds=max(effort.rounds, 5))
    wall = {name: middle(each, lambda started: started.wall_s) for name, each in results.items()}
    cpu = {name: middle(each, lambda started: started.cpu_s) for name, each in results.items()}
    return Report(
        name="starting",
        title="Starting",
        method="From exec to the end of the command or the first 200 of `GET /api/account`; warm file cache, byte code "
        "compiled.",
        findings=[
            f"`hfproxy serve` answers its first call {wall[_SERVE]:.2f} s after exec, a bare aiohttp program "
            f"{wall[_BARE]:.2f} s; `--help` takes {wall['hfproxy --help']:.2f} s.",
        ],
        tables=[
            Table(
                ["", "clock, s", "CPU, s", "CPU ÷ bare forwarder"],
                [[name, f"{wall[name]:.2f}", f"{cpu[name]:.2f}", f"{cpu[name] / cpu[_BARE]:.2f}"] for name in cells],
            )
        ],
    )


def _command(*arguments: str) -> Started:
    begun, used = time.perf_counter(), _children_cpu_s()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment(), capture_output=True, check=True)
    return Started(time.perf_counter() - begun, _children_cpu_s() - used)


def _server(start: Callable[[], AbstractContextManager[Server]]) -> Started:
    begun = time.perf_counter()
    with start() as server:
        wait_for_200(f"{server.url}/api/account")
        return Started(time.perf_counter() - begun, server.cpu_s())


def _children_cpu_s() -> float:
    """CPU time of all ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
