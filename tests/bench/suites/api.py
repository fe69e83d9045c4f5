"""API calls: `GET /api/account` and a create, through the gateway, its peers and directly."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from tests.bench.charts import Chart
from tests.bench.double.control import DoubleHub, double_hub
from tests.bench.effort import Effort
from tests.bench.loads import Load, fire
from tests.bench.measuring import Measured, measure
from tests.bench.processes import HUB_TOKEN, Server, gateway, python_server, sandbox_hub
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved, middle

_PEER = "tests.bench.peers.aiohttp_peers"
_AUTH = (("Authorization", f"Bearer {HUB_TOKEN}"),)
_NEW = '{"type": "model", "name": "UNIQUE", "private": true}'
CONNECTIONS = (1, 32, 256)
LATENCIES_S = (0.0, 0.05)

THROUGH = {"account": Load("GET", "/api/account"), "create": Load("POST", "/api/repo", _NEW)}
DIRECTLY = {
    "account": Load("GET", "/api/whoami-v2", headers=_AUTH),
    "create": Load("POST", "/api/repos/create", _NEW, headers=_AUTH),
}


@dataclass(frozen=True)
class Cell:
    """What is measured: which call, of whom, under which circumstances."""

    call: str
    latency_s: float
    connections: int
    target: str

    def of(self, target: str) -> "Cell":
        return Cell(self.call, self.latency_s, self.connections, target)


def api_calls(effort: Effort) -> Report:
    """Requests per second, p50, p99 and CPU time of account and create, at 1, 32 and 256 connections."""
    with ExitStack() as stack:
        hub = stack.enter_context(double_hub())
        targets = {
            "directly": hub.server,
            "bare forwarder": stack.enter_context(python_server(_PEER, "forwarder", hub.url)),
            "one session a call": stack.enter_context(python_server(_PEER, "old", hub.url)),
            "hfproxy": stack.enter_context(gateway(hub.url)),
        }
        cells = {
            cell: partial(_measure, hub, targets[cell.target], cell, effort.seconds)
            for latency_s in LATENCIES_S
            for call in THROUGH
            for connections in CONNECTIONS
            for target in targets
            for cell in [Cell(call, latency_s, connections, target)]
        }
        _warm_up(cells)
        results = interleaved(cells, rounds=effort.rounds)
    rows = [cell for cell in cells if cell.target == "hfproxy"]
    sandbox = _before_the_sandbox(effort)
    return Report(
        name="api",
        title="API calls",
        method=(
            "The Hub is a double that answers at once (or after 50 ms) with bytes made beforehand, in a process of its "
            "own. *Bare forwarder* is the least an aiohttp gateway can do: one shared session, no check, no log. "
            "*One session a call* is how the earlier service asked the Hub. All share the cores with the load "
            "generator and the double, so requests per second are a ranking; CPU time per request is the steadier "
            "figure. hfproxy logs every request, as it comes."
        ),
        findings=_findings(results, rows),
        tables=[_rates(results, rows), _latencies(results, rows), _cpu(results, rows), sandbox],
        charts=[
            Chart(
                "api-cpu",
                "CPU time of one call",
                "ms of the server, 32 connections",
                ["bare forwarder", "one session a call", "hfproxy"],
                [
                    (
                        f"{row.call}, Hub at {row.latency_s * 1e3:.0f} ms",
                        [
                            _cpu_ms(results, row.of(target))
                            for target in ("bare forwarder", "one session a call", "hfproxy")
                        ],
                    )
                    for row in rows
                    if row.connections == 32
                ],
            )
        ],
    )


def _measure(hub: DoubleHub, server: Server, cell: Cell, seconds: float) -> Measured:
    hub.behave(latency_s=cell.latency_s)
    load = (DIRECTLY if cell.target == "directly" else THROUGH)[cell.call]
    return measure(server, load, connections=cell.connections, seconds=seconds)


def _warm_up(cells: Mapping[Cell, Callable[[], Measured]]) -> None:
    for cell, once in cells.items():
        if cell.connections == CONNECTIONS[1] and not cell.latency_s:
            once()


def _cpu_ms(results: dict[Cell, list[Measured]], cell: Cell) -> float:
    return middle(results[cell], lambda measured: measured.cpu_us / 1e3)


def _per_s(results: dict[Cell, list[Measured]], cell: Cell) -> float:
    return middle(results[cell], lambda measured: measured.fired.per_s)


def _p50(results: dict[Cell, list[Measured]], cell: Cell) -> float:
    return middle(results[cell], lambda measured: measured.fired.p50_ms)


def _p99(results: dict[Cell, list[Measured]], cell: Cell) -> float:
    return middle(results[cell], lambda measured: measured.fired.p99_ms)


def _name(row: Cell) -> str:
    return f"{row.call}, {row.latency_s * 1e3:.0f} ms, {row.connections}"


_WORK = "call, Hub's latency, connections"


def _rates(results: dict[Cell, list[Measured]], rows: list[Cell]) -> Table:
    targets = ("directly", "bare forwarder", "one session a call", "hfproxy")
    return Table(
        [_WORK, *targets, "hfproxy ÷ bare", "hfproxy ÷ one session a call"],
        [
            [
                _name(row),
                *(f"{_per_s(results, row.of(target)):,.0f}" for target in targets),
                f"{_per_s(results, row) / _per_s(results, row.of('bare forwarder')):.2f}",
                f"{_per_s(results, row) / _per_s(results, row.of('one session a call')):.2f}",
            ]
            for row in rows
        ],
        "Requests per second:",
    )


def _latencies(results: dict[Cell, list[Measured]], rows: list[Cell]) -> Table:
    targets = ("directly", "bare forwarder", "one session a call", "hfproxy")
    return Table(
        [_WORK, *targets, "added at p50"],
        [
            [
                _name(row),
                *(f"{_p50(results, row.of(target)):.1f} / {_p99(results, row.of(target)):.1f}" for target in targets),
                f"{_p50(results, row) - _p50(results, row.of('directly')):.1f}",
            ]
            for row in rows
        ],
        "p50 / p99 in ms, and what the gateway adds to the direct call (with the machine full, this is queueing):",
    )


def _cpu(results: dict[Cell, list[Measured]], rows: list[Cell]) -> Table:
    targets = ("bare forwarder", "one session a call", "hfproxy")
    return Table(
        [_WORK, *targets, "hfproxy ÷ bare", "hfproxy ÷ one session a call"],
        [
            [
                _name(row),
                *(f"{_cpu_ms(results, row.of(target)):.2f}" for target in targets),
                f"{_cpu_ms(results, row) / _cpu_ms(results, row.of('bare forwarder')):.2f}",
                f"{_cpu_ms(results, row) / _cpu_ms(results, row.of('one session a call')):.2f}",
            ]
            for row in rows
        ],
        "CPU time of the server's process for one request, ms:",
    )


def _findings(results: dict[Cell, list[Measured]], rows: list[Cell]) -> list[str]:
    busy = next(row for row in rows if row.call == "account" and row.connections == 32 and not row.latency_s)
    far = next(row for row in rows if row.call == "account" and row.connections == 32 and row.latency_s)
    bare, old = busy.of("bare forwarder"), busy.of("one session a call")
    return [
        f"An account call costs {_cpu_ms(results, busy):.2f} ms of CPU at 32 connections: "
        f"{_cpu_ms(results, busy) / _cpu_ms(results, bare):.2f} × the bare forwarder's, "
        f"{_cpu_ms(results, busy) / _cpu_ms(results, old):.2f} × the earlier way's.",
        f"With the Hub 50 ms away and 32 connections the gateway adds "
        f"{_p50(results, far) - _p50(results, far.of('directly')):.1f} ms at p50; the bare forwarder adds "
        f"{_p50(results, far.of('bare forwarder')) - _p50(results, far.of('directly')):.1f} ms, one session a call "
        f"{_p50(results, far.of('one session a call')) - _p50(results, far.of('directly')):.1f} ms.",
    ]


def _before_the_sandbox(effort: Effort) -> Table:
    """The same two calls before the faithful Hub, whose own work dwarfs the gateway's."""
    with sandbox_hub() as sandbox, gateway(sandbox.url) as before:
        targets = {"directly": (sandbox, DIRECTLY), "hfproxy": (before, THROUGH)}
        cells = {
            (call, connections, name): partial(
                fire, loads[call], server.url, connections=connections, seconds=effort.seconds
            )
            for call in THROUGH
            for connections in (1, 32)
            for name, (server, loads) in targets.items()
        }
        results = interleaved(cells, rounds=effort.rounds)
    failed = sum(fired.failed for each in results.values() for fired in each)
    assert not failed, f"{failed} failed before the sandbox"
    rows = []
    for call, connections, name in cells:
        if name == "hfproxy":
            continue
        alone, through = results[call, connections, name], results[call, connections, "hfproxy"]
        rate, rate_through = (middle(each, lambda fired: fired.per_s) for each in (alone, through))
        rows.append(
            [
                f"{call}, {connections}",
                *(f"{rate:,.0f}" for rate in (rate, rate_through)),
                f"{rate_through / rate:.2f}",
                *(
                    f"{middle(each, lambda fired: fired.p50_ms):.1f} / {middle(each, lambda fired: fired.p99_ms):.1f}"
                    for each in (alone, through)
                ),
            ]
        )
    return Table(
        ["call, connections", "directly, per s", "hfproxy, per s", "ratio", "directly, ms", "hfproxy, ms"],
        rows,
        "Before the built-in sandbox Hub, which makes a real repository for each create:",
    )
