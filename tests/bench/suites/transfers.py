"""Memory with two hundred transfers of large files under way, of kept files and of files on their way."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tests.bench.charts import Chart
from tests.bench.double.content import SyntheticFile
from tests.bench.double.control import DoubleHub, double_hub
from tests.bench.downloads import begin, download
from tests.bench.effort import Effort
from tests.bench.processes import Server, gateway, python_server
from tests.bench.reports import Report, Table

_CLIENTS, _FILES, _SMALLER_MIB, _MIB = 200, 8, 48, 1024**2
_LINE_BYTES_PER_S = 24 * _MIB
_OURS, _RELAY = "hfproxy", "plain aiohttp relay"
_STAGES = ("at rest", "200 of kept files", "200 of files on their way", "of 200 different files, no cap")


def transfers(effort: Effort) -> Report:
    """Resident memory while two hundred clients fetch large files: kept ones, and ones on their way from the Hub."""
    with ExitStack() as stack:
        hub = stack.enter_context(double_hub())
        targets = {
            _OURS: stack.enter_context(gateway(hub.url)),
            _RELAY: stack.enter_context(python_server("tests.bench.peers.aiohttp_peers", "relay", hub.url)),
        }
        peaks = {name: _stages(hub, server, name, max(5.0, effort.seconds)) for name, server in targets.items()}
    return Report(
        name="transfers",
        title="Memory with two hundred transfers under way",
        method=f"{_CLIENTS} clients at once over {_FILES} files of 256 MiB, slow ones for those that are kept, a line "
        f"of {_LINE_BYTES_PER_S // _MIB} MiB/s for those that are not: the peak of the process's resident memory.",
        findings=[f"At most {max(peaks[_OURS]):.0f} MiB (to reach: 150)."],
        tables=[Table(["MiB", *_STAGES], [[name, *(f"{mib:.0f}" for mib in each)] for name, each in peaks.items()])],
        charts=[
            Chart(
                "transfers",
                "Memory with transfers under way",
                "MiB",
                list(peaks),
                [(stage, [each[number] for each in peaks.values()]) for number, stage in enumerate(_STAGES)],
            )
        ],
    )


def _stages(hub: DoubleHub, server: Server, name: str, seconds: float) -> list[float]:
    found = [server.memory_mib()]
    word = name.partition(" ")[0]
    kept, coming, different = (
        [f"/bench/files/resolve/main/{SyntheticFile(f'{word}{kind}{n}', mib * _MIB).name}" for n in range(count)]
        for kind, count, mib in (("kept", _FILES, 256), ("coming", _FILES, 256), ("each", _CLIENTS, _SMALLER_MIB))
    )
    hub.behave()
    for path in kept:
        download(server.url + path)
    for path in coming + different:
        download(hub.url + path, "-r", "0-0")  # the double makes it
    for paths, options in ((kept, ("--limit-rate", "1M")), (coming, ()), (different, ())):
        hub.behave(total_cap=_LINE_BYTES_PER_S if paths is coming else None)
        with _under_way(server, paths, options) as alive:
            server.forget_peak()
            time.sleep(seconds)
            assert alive() == _CLIENTS, "they were to last longer than this"
            found.append(server.peak_memory_mib())
    hub.behave()
    return found


@contextmanager
def _under_way(server: Server, paths: list[str], options: tuple[str, ...]) -> Iterator[Callable[[], int]]:
    """Two hundred downloads; gives how many are not over."""
    processes = [begin(server.url + paths[n % len(paths)], *options) for n in range(_CLIENTS)]
    try:
        yield lambda: sum(process.poll() is None for process in processes)
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.communicate()
