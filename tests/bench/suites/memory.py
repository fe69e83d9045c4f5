"""Memory of the gateway's process: at rest, under load, with a thousand callers waiting, and afterwards."""

from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench.charts import Chart
from tests.bench.double.control import DoubleHub, double_hub
from tests.bench.effort import Effort
from tests.bench.loads import Load, fire
from tests.bench.processes import Server, gateway, python_server
from tests.bench.reports import Report, Table

_LOAD = Load("GET", "/api/account")
_STAGES = ("at rest", "256 callers", "1,000 callers, Hub at 1 s", "afterwards")


@dataclass(frozen=True)
class Used:
    """Resident MiB in each stage, and the sockets that are open in the end."""

    mib: tuple[float, ...]
    sockets: int


def memory(effort: Effort) -> Report:
    """Resident memory at rest, under load, with a thousand callers waiting for a slow Hub, and afterwards."""
    with ExitStack() as stack:
        hub = stack.enter_context(double_hub())
        peer = "tests.bench.peers.aiohttp_peers"
        targets = {
            "hfproxy": stack.enter_context(gateway(hub.url, HFPROXY_UPSTREAM__MAX_CONNECTIONS="1000")),
            "bare forwarder": stack.enter_context(python_server(peer, "forwarder", hub.url)),
            "one session a call": stack.enter_context(python_server(peer, "old", hub.url)),
        }
        used = {name: _stages(hub, server, effort) for name, server in targets.items()}
    ours, bare = used["hfproxy"].mib, used["bare forwarder"].mib
    return Report(
        name="memory",
        title="Memory",
        method="Resident memory of one process from /proc: the peak of each stage, and what is left after it.",
        findings=[
            f"{ours[0]:.0f} MiB at rest, {ours[2]:.0f} MiB with a thousand callers waiting for a slow Hub: "
            f"{(ours[2] - ours[0]) * 1024 / 1000:.0f} KiB for each of them (the bare forwarder: "
            f"{(bare[2] - bare[0]) * 1024 / 1000:.0f} KiB).",
        ],
        tables=[
            Table(
                ["MiB", *_STAGES, "sockets open (kept 15 s)"],
                [[name, *(f"{mib:.0f}" for mib in each.mib), str(each.sockets)] for name, each in used.items()],
            )
        ],
        charts=[
            Chart(
                "memory",
                "Resident memory",
                "MiB",
                list(used),
                [(stage, [each.mib[number] for each in used.values()]) for number, stage in enumerate(_STAGES)],
            )
        ],
    )


def _stages(hub: DoubleHub, server: Server, effort: Effort) -> Used:
    rest = server.memory_mib()
    peaks = []
    for connections, latency_s in ((256, 0.05), (1000, 1.0)):
        hub.behave(latency_s=latency_s)
        server.forget_peak()
        for _ in range(effort.rounds):
            fired = fire(
                _LOAD, server.url, connections=connections, seconds=max(effort.seconds, 3 * latency_s), to_the_end=True
            )
            assert not fired.failed, f"{fired.failed} of {fired.requests} failed"
        peaks.append(server.peak_memory_mib())
    hub.behave()
    fire(_LOAD, server.url, connections=1, seconds=0.5)
    return Used((rest, *peaks, server.memory_mib()), server.sockets())
