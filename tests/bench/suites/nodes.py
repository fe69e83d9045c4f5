"""Two gateways on one bucket and one database: what they ask of the Hub together, and what they serve together."""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from tests.bench.double.content import SyntheticFile
from tests.bench.double.control import DoubleHub, double_hub
from tests.bench.downloads import Download, begin, download, end
from tests.bench.effort import Effort
from tests.bench.loads import Load, fire
from tests.bench.processes import Server, gateway
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved, middle
from tests.support.buckets import bucket_variables
from tests.support.postgres import find_server, running_postgres
from tests.support.s3_servers import running_rclone, running_swift, swift_missing

_MIB = 1024**2
_CLIENTS = 50
_CONNECTIONS = 32
_LINE_BYTES_PER_S = 24 * _MIB
_COLD = SyntheticFile("nodes", 128 * _MIB)
_SMALL = SyntheticFile("small", 4096)
_ONE, _TWO, _APART = "one gateway", "two that share", "two that share nothing"


@dataclass(frozen=True)
class Served:
    """One load on all gateways at once, and the CPU time of them all."""

    requests: int
    per_s: float
    cpu_s: float

    @property
    def cpu_us(self) -> float:
        return self.cpu_s * 1e6 / max(self.requests, 1)


def nodes(effort: Effort) -> Report:
    """Two gateways on S3 and PostgreSQL: fifty clients and one cold file, and hot small files next to one gateway."""
    with ExitStack() as stack:
        hub = stack.enter_context(double_hub())
        pair = stack.enter_context(_two(hub))
        cold_s, sent, alone_s = _cold(hub, pair)
        hub.behave()
        apart = [stack.enter_context(gateway(hub.url)) for _ in range(2)]
        servers = {_ONE: pair[:1], _TWO: pair, _APART: apart}
        cells = {name: partial(_hot, each, effort.seconds) for name, each in servers.items()}
        for measure in cells.values():
            measure()
        results = interleaved(cells, rounds=effort.rounds)
    per_s = {name: middle(each, lambda served: served.per_s) for name, each in results.items()}
    cpu_us = {name: middle(each, lambda served: served.cpu_us) for name, each in results.items()}
    engine = "rclone's S3" if swift_missing() else "OpenStack Swift's S3"
    return Report(
        name="nodes",
        title="Two gateways",
        method=f"One worker each, {engine} and PostgreSQL on the same machine. The cold file has "
        f"{_COLD.size_bytes // _MIB} MiB, over a line of {_LINE_BYTES_PER_S // _MIB} MiB/s in all; {_CLIENTS} clients, "
        f"half of them at each gateway. The hot file has 4 KiB; {_CONNECTIONS} kept connections, divided among the "
        f"gateways. The load and everything else take CPU of the same {os.cpu_count()} cores, so that a second gateway "
        "is measured by what a request costs; two that share nothing show what of that is the machine's.",
        findings=[
            f"{sent / _COLD.size_bytes:.3f} × the cold file came from the Hub (to reach: 1.00); the last of {_CLIENTS} "
            f"was done after {max(cold_s):.1f} s, one direct download took {alone_s:.1f} s.",
            f"A hot request costs {cpu_us[_ONE]:.0f} µs of CPU with one gateway, {cpu_us[_TWO]:.0f} µs with two, "
            f"{cpu_us[_APART]:.0f} µs with two that share nothing: where there are cores, two serve "
            f"{2 * cpu_us[_ONE] / cpu_us[_TWO]:.2f} × what one does (to reach: 1.8), and "
            f"{cpu_us[_APART] / cpu_us[_TWO]:.2f} × what two that share nothing do.",
        ],
        tables=[
            Table(
                ["hot, 4 KiB", "requests per s", "CPU, µs each"],
                [[name, f"{per_s[name]:,.0f}", f"{cpu_us[name]:.0f}"] for name in per_s],
            )
        ],
    )


@contextmanager
def _two(hub: DoubleHub) -> Iterator[list[Server]]:
    programs = find_server()
    assert programs is not None, "PostgreSQL's server is not installed"
    with ExitStack() as stack:
        database = stack.enter_context(running_postgres(programs))
        bucket = stack.enter_context(running_rclone() if swift_missing() else running_swift())
        shared = {
            **bucket_variables(bucket),
            "HFPROXY_STORAGE__S3_BLOCK_SIZE": "4MiB",
            "HFPROXY_STORAGE__DATABASE": database.url,
        }
        yield [stack.enter_context(gateway(hub.url, **shared)) for _ in range(2)]


def _cold(hub: DoubleHub, pair: Sequence[Server]) -> tuple[list[float], int, float]:
    """How long each client took, what came from the Hub for them, and how long a direct download takes."""
    path = _path(_COLD)
    download(f"{hub.url}{path}", "-r", "0-0")  # so that nobody waits for the double's making it
    hub.behave(total_cap=_LINE_BYTES_PER_S)
    begun = time.perf_counter()
    download(f"{hub.url}{path}")
    alone_s = time.perf_counter() - begun
    hub.forget()
    under_way = [begin(f"{pair[number % len(pair)].url}{path}") for number in range(_CLIENTS)]
    done: list[Download] = [end(process) for process in under_way]
    assert all((each.status, each.size_bytes) == (200, _COLD.size_bytes) for each in done), done
    return [each.whole_s for each in done], hub.counts()["bytes_sent"], alone_s


def _hot(servers: Sequence[Server], seconds: float) -> Served:
    load = Load("GET", _path(_SMALL), headers=(("Accept-Encoding", "identity"), ("Connection", "keep-alive")))
    before = sum(server.cpu_s() for server in servers)
    with ThreadPoolExecutor(len(servers)) as threads:
        firing = partial(fire, load, connections=_CONNECTIONS // len(servers), seconds=seconds)
        fired = list(threads.map(firing, (server.url for server in servers)))
    assert not any(each.failed for each in fired), fired
    cpu_s = sum(server.cpu_s() for server in servers) - before
    return Served(sum(each.requests for each in fired), sum(each.per_s for each in fired), cpu_s)


def _path(file: SyntheticFile) -> str:
    return f"/bench/files/resolve/main/{file.name}"
