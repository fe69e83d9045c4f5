"""Small files that are kept: 4 KiB and a HEAD, as many as one process can answer."""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench.charts import Chart
from tests.bench.double.answers import COMMIT
from tests.bench.double.content import SyntheticFile
from tests.bench.double.control import double_hub
from tests.bench.effort import Effort
from tests.bench.loads import Load
from tests.bench.measuring import Measured, measure
from tests.bench.peers.nginx import BEHIND_NGINX, installed, nginx
from tests.bench.processes import Server, gateway, python_server
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved, middle

_FILE = SyntheticFile("small", 4096)
_CONNECTIONS = 32
_OURS, _SILENT, _BARE, _NGINX = "hfproxy", "hfproxy without its log", "bare aiohttp handler", "nginx"
_FRONT = "nginx before hfproxy"
# What `huggingface_hub` sends; whoever is compared gets the same.
_HEADERS = (
    ("User-Agent", "unknown/None; hf_hub/2.4.0; python/3.11.7"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),
    ("Connection", "keep-alive"),
    ("X-Amzn-Trace-Id", "2f1d9c7e-4a0b-4f38-9a52-0c7d1e6b8aUNIQUE"),
)


def hot_small(effort: Effort) -> Report:
    """Requests per second and CPU time of a kept 4 KiB file and of a HEAD, next to a bare handler and nginx."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _FILE.written_to(folder)
        hub = stack.enter_context(double_hub())
        bare = stack.enter_context(python_server("tests.bench.peers.aiohttp_peers", "memory", str(folder)))
        resolved = f"/bench/files/resolve/main/{_FILE.name}"
        targets: dict[str, tuple[Server, str]] = {
            _OURS: (stack.enter_context(gateway(hub.url)), resolved),
            _SILENT: (stack.enter_context(gateway(hub.url, HFPROXY_LOGGING__LEVEL="error")), resolved),
            _BARE: (bare, f"/memory/{_FILE.name}"),
        }
        if installed():
            targets[_NGINX] = (stack.enter_context(nginx("files", root=folder)), f"/{_FILE.name}")
            kept = stack.enter_context(tempfile.TemporaryDirectory())
            behind = stack.enter_context(gateway(hub.url, HFPROXY_STORAGE__ROOT=kept, **BEHIND_NGINX))
            front = stack.enter_context(nginx("front", root=Path(kept) / "blobs", upstream=behind.url))
            targets[_FRONT] = (front, f"/bench/files/resolve/{COMMIT}/{_FILE.name}")
        cells = {
            (method, name): partial(_measure, server, Load(method, path, headers=_HEADERS), effort.seconds)
            for method in ("GET", "HEAD")
            for name, (server, path) in targets.items()
        }
        for measure in cells.values():
            measure()
        results = interleaved(cells, rounds=effort.rounds)
    per_s = {cell: middle(each, lambda measured: measured.fired.per_s) for cell, each in results.items()}
    cpu_us = {cell: middle(each, lambda measured: measured.cpu_us) for cell, each in results.items()}
    p99_ms = {cell: middle(each, lambda measured: measured.fired.p99_ms) for cell, each in results.items()}
    return Report(
        name="hot-small",
        title="Small files that are kept",
        method=f"{_CONNECTIONS} kept connections, one process each, the headers of `huggingface_hub`. The *bare "
        "aiohttp handler* answers the same bytes from memory and no more; nginx sends the file without a log. "
        "hfproxy identifies the caller, looks up the name and the right, counts, and writes its log line. *nginx "
        "before hfproxy* is the documented configuration: the file by its commit hash, after which nginx asks the "
        "gateway every one to two seconds; unlike nginx alone it keeps files open.",
        findings=[
            f"{method}: {per_s[method, _OURS] / per_s[method, _BARE]:.2f} × the bare aiohttp handler"
            + (
                f", {per_s[method, _OURS] / per_s[method, _NGINX]:.2f} × nginx; "
                f"nginx before hfproxy {per_s[method, _FRONT] / per_s[method, _NGINX]:.2f} × nginx (to reach: 0.9)"
                if installed()
                else ""
            )
            + f"; {cpu_us[method, _OURS]:.0f} µs of CPU each (bare: {cpu_us[method, _BARE]:.0f} µs)."
            for method in ("GET", "HEAD")
        ],
        tables=[
            Table(
                ["", "requests per s", "÷ bare aiohttp", "CPU, µs each", "p99, ms"],
                [
                    [
                        f"{method} {name}",
                        f"{per_s[method, name]:,.0f}",
                        f"{per_s[method, name] / per_s[method, _BARE]:.2f}",
                        f"{cpu_us[method, name]:.0f}",
                        f"{p99_ms[method, name]:.1f}",
                    ]
                    for method, name in cells
                ],
            )
        ],
        charts=[
            Chart(
                "hot-small",
                "Small files that are kept",
                "requests per second",
                list(targets),
                [(f"{method} 4 KiB", [per_s[method, name] for name in targets]) for method in ("GET", "HEAD")],
            )
        ],
    )


def _measure(server: Server, load: Load, seconds: float) -> Measured:
    return measure(server, load, connections=_CONNECTIONS, seconds=seconds)
