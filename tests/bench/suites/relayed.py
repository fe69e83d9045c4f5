"""Calls of the Hub's API that are relayed as they are: what the gateway adds, and what it costs."""

from contextlib import ExitStack
from functools import partial

from tests.bench.double.control import DoubleHub, double_hub
from tests.bench.effort import Effort
from tests.bench.loads import Load
from tests.bench.measuring import Measured, measure
from tests.bench.processes import Server, gateway, python_server
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved, middle

_CONNECTIONS, _LATENCY_S = 32, 0.05
_LOAD = Load("GET", "/api/models-tags-by-type")
_DIRECT, _BARE, _OURS = "directly", "plain aiohttp relay", "hfproxy"


def relayed(effort: Effort) -> Report:
    """What a relayed API call takes longer than a direct one, with the Hub 50 ms away and 32 connections."""
    with ExitStack() as stack:
        hub = stack.enter_context(double_hub())
        targets = {
            _DIRECT: hub.server,
            _BARE: stack.enter_context(python_server("tests.bench.peers.aiohttp_peers", "relay", hub.url)),
            _OURS: stack.enter_context(gateway(hub.url)),
        }
        cells = {name: partial(_measure, hub, server, effort.seconds) for name, server in targets.items()}
        for measure in cells.values():
            measure()
        results = interleaved(cells, rounds=effort.rounds)
    p50 = {name: middle(each, lambda measured: measured.fired.p50_ms) for name, each in results.items()}
    p99 = {name: middle(each, lambda measured: measured.fired.p99_ms) for name, each in results.items()}
    per_s = {name: middle(each, lambda measured: measured.fired.per_s) for name, each in results.items()}
    cpu = {name: middle(each, lambda measured: measured.cpu_us / 1e3) for name, each in results.items()}
    return Report(
        name="relayed",
        title="Relayed API calls",
        method=f"A call that hfproxy passes on unread; the Hub {_LATENCY_S * 1e3:.0f} ms away, {_CONNECTIONS} kept "
        "connections without a pause, all on the same cores.",
        findings=[
            f"{p50[_OURS] - p50[_DIRECT]:.1f} ms added at p50 (to reach: 2); a plain aiohttp relay adds "
            f"{p50[_BARE] - p50[_DIRECT]:.1f} ms. CPU time of one call: {cpu[_OURS]:.2f} ms, "
            f"the plain relay's {cpu[_BARE]:.2f} ms."
        ],
        tables=[
            Table(
                ["", "p50, ms", "p99, ms", "added at p50", "requests per s", "CPU, ms each"],
                [
                    [
                        name,
                        f"{p50[name]:.1f}",
                        f"{p99[name]:.1f}",
                        f"{p50[name] - p50[_DIRECT]:.1f}",
                        f"{per_s[name]:,.0f}",
                        f"{cpu[name]:.2f}",
                    ]
                    for name in targets
                ],
            )
        ],
    )


def _measure(hub: DoubleHub, server: Server, seconds: float) -> Measured:
    hub.behave(latency_s=_LATENCY_S)
    return measure(server, _LOAD, connections=_CONNECTIONS, seconds=seconds)
