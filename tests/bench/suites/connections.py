"""Connections to the Hub: how many are opened for so many calls."""

from contextlib import ExitStack
from functools import partial

from tests.bench.double.control import DoubleHub, double_hub
from tests.bench.effort import Effort
from tests.bench.loads import Load, fire
from tests.bench.processes import Server, gateway, python_server
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved

_LOAD = Load("GET", "/api/account")
_CALLERS = 32


def pooled_connections(effort: Effort) -> Report:
    """Connections opened to the Hub for each call of 32 callers."""
    with ExitStack() as stack:
        hub = stack.enter_context(double_hub())
        targets = {
            "hfproxy": stack.enter_context(gateway(hub.url)),
            "one session a call": stack.enter_context(python_server("tests.bench.peers.aiohttp_peers", "old", hub.url)),
        }
        cells = {name: partial(_opened, hub, server, effort.seconds) for name, server in targets.items()}
        results = interleaved(cells, rounds=effort.rounds)
    sums = {
        name: (sum(opened for opened, _ in each), sum(calls for _, calls in each)) for name, each in results.items()
    }
    opened, calls = sums["hfproxy"]
    return Report(
        name="connections",
        title="Connections to the Hub",
        method=f"{_CALLERS} callers ask for the account without a pause; the Hub's double counts who connects.",
        findings=[
            f"hfproxy opened {opened} connections for {calls:,} calls and kept them; the earlier way opens one for "
            "every call, which on a real network is a TCP and a TLS handshake each time."
        ],
        tables=[
            Table(
                ["", "calls", "connections opened", "connections ÷ calls"],
                [
                    [name, f"{calls:,}", f"{opened:,}", f"{opened / calls:.5f}"]
                    for name, (opened, calls) in sums.items()
                ],
            )
        ],
    )


def _opened(hub: DoubleHub, server: Server, seconds: float) -> tuple[int, int]:
    """Connections and calls of one load."""
    hub.behave()
    hub.forget()
    fired = fire(_LOAD, server.url, connections=_CALLERS, seconds=seconds, to_the_end=True)
    assert not fired.failed
    counts = hub.counts()
    # The harness's own connection, which asked for the counts.
    return counts["connections"] - 1, counts["requests"]
