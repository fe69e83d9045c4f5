"""A large kept file: how fast it leaves, to one client and to eight."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.charts import Chart
from tests.bench.double.content import SyntheticFile
from tests.bench.double.control import double_hub
from tests.bench.downloads import download, together
from tests.bench.effort import Effort
from tests.bench.peers.nginx import BEHIND_NGINX, installed, nginx
from tests.bench.processes import Server, gateway, python_server
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved, middle

_OURS, _FRONT, _NGINX, _BARE = "hfproxy", "nginx before hfproxy (X-Accel-Redirect)", "nginx", "aiohttp FileResponse"
_CLIENTS = (1, 8)


@dataclass(frozen=True)
class Measured:
    """One round: throughput, and the CPU time of the server for a gigabyte."""

    mib_per_s: float
    cpu_s_per_gib: float


def hot_large(effort: Effort) -> Report:
    """Throughput of a large kept file, next to nginx and FileResponse, and through nginx as the front server."""
    file = SyntheticFile("hot", effort.mib * 1024**2)
    with ExitStack() as stack:
        served, kept = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        file.written_to(served)
        hub = stack.enter_context(double_hub())
        resolved = f"/bench/files/resolve/main/{file.name}"
        root = {"HFPROXY_STORAGE__ROOT": str(kept)}
        ours = stack.enter_context(gateway(hub.url, **root))
        targets: dict[str, tuple[Server, str]] = {
            _OURS: (ours, resolved),
            _BARE: (stack.enter_context(python_server("tests.bench.peers.aiohttp_peers", "files", str(served))), ""),
        }
        download(ours.url + resolved)
        if installed():
            targets[_NGINX] = (stack.enter_context(nginx("files", root=served)), "")
            handed = stack.enter_context(gateway(hub.url, **BEHIND_NGINX, **root))
            front = stack.enter_context(nginx("front", root=kept / "blobs", upstream=handed.url))
            targets[_FRONT] = (front, resolved)
        cells = {
            (clients, name): partial(_measure, server, path or f"/{file.name}", clients)
            for clients in _CLIENTS
            for name, (server, path) in targets.items()
        }
        for measure in cells.values():
            measure()
        results = interleaved(cells, rounds=effort.rounds)
    speed = {cell: middle(each, lambda measured: measured.mib_per_s) for cell, each in results.items()}
    cpu = {cell: middle(each, lambda measured: measured.cpu_s_per_gib) for cell, each in results.items()}
    reference = _NGINX if _NGINX in targets else _BARE
    return Report(
        name="hot-large",
        title="A large file that is kept",
        method=f"A file of {effort.mib} MiB, read by curl from each server in turn; one process each.",
        findings=[
            f"{clients} client{'s' if clients > 1 else ''}: "
            + ", ".join(
                f"{name} {speed[clients, name] / speed[clients, reference]:.2f} × {reference}"
                for name in (_OURS, _FRONT)
                if name in targets
            )
            + " (to reach: 0.9)."
            for clients in _CLIENTS
        ],
        tables=[
            Table(
                ["clients, server", "MiB/s", f"÷ {reference}", "CPU s for each GiB"],
                [
                    [
                        f"{clients}, {name}",
                        f"{speed[clients, name]:,.0f}",
                        f"{speed[clients, name] / speed[clients, reference]:.2f}",
                        f"{cpu[clients, name]:.2f}",
                    ]
                    for clients, name in cells
                ],
            )
        ],
        charts=[
            Chart(
                "hot-large",
                "A large file that is kept",
                "MiB/s",
                list(targets),
                [(f"{clients} at once", [speed[clients, name] for name in targets]) for clients in _CLIENTS],
            )
        ],
    )


def _measure(server: Server, path: str, clients: int) -> Measured:
    cpu_s = server.cpu_s()
    done = together(server.url + path, clients)
    gib = sum(each.size_bytes for each in done.downloads) / 1024**3
    return Measured(done.mib_per_s, (server.cpu_s() - cpu_s) / gib)
