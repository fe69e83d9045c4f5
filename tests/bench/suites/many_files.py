"""A repository of many small files, fetched by the real client: directly, and through the gateway that keeps them."""

import subprocess
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench.charts import Chart
from tests.bench.double.control import double_hub
from tests.bench.effort import Effort
from tests.bench.processes import gateway
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved, middle
from tests.support.clients import NEWEST, Client, client, environment

_FILES = 2000
_REPO = f"bench/many-{_FILES}x4096"
_LATENCY_S = 0.05
_SNAPSHOT = f"""
import time
from huggingface_hub import snapshot_download
begun = time.perf_counter()
snapshot_download({_REPO!r})
print(time.perf_counter() - begun)
"""
_DIRECT, _COLD, _HOT = "directly", "hfproxy, for the first time", "hfproxy, kept"


def many_files(effort: Effort) -> Report:
    """`snapshot_download` of 2,000 small files: directly from a Hub that is 50 ms away, and through the gateway."""
    with ExitStack() as stack:
        hub = stack.enter_context(double_hub())
        ours = stack.enter_context(gateway(hub.url))
        newest = client(NEWEST)
        hub.behave(latency_s=_LATENCY_S)
        cold_s = _seconds(newest, ours.url)
        cells = {_DIRECT: partial(_seconds, newest, hub.url), _HOT: partial(_seconds, newest, ours.url)}
        results = interleaved(cells, rounds=min(effort.rounds, 2))
    seconds = {_DIRECT: middle(results[_DIRECT], float), _COLD: cold_s, _HOT: middle(results[_HOT], float)}
    return Report(
        name="many-files",
        title=f"{_FILES:,} small files",
        method=f"`snapshot_download` of `huggingface_hub` {NEWEST} as it comes (8 threads), a fresh home each time, "
        f"{_FILES:,} files of 4 KiB, the Hub {_LATENCY_S * 1e3:.0f} ms away.",
        findings=[f"{seconds[_DIRECT] / seconds[_HOT]:.1f} × as fast as directly (to reach: 3), once they are kept."],
        tables=[
            Table(
                ["", "seconds", "files per s", "× as fast as directly"],
                [
                    [name, f"{took:.1f}", f"{_FILES / took:,.0f}", f"{seconds[_DIRECT] / took:.1f}"]
                    for name, took in seconds.items()
                ],
            )
        ],
        charts=[
            Chart(
                "many-files",
                f"{_FILES:,} small files",
                "seconds",
                ["snapshot_download"],
                [(name, [took]) for name, took in seconds.items()],
            )
        ],
    )


def _seconds(of: Client, endpoint: str) -> float:
    """How long the download took, without the start of Python."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [str(of.python), "-c", _SNAPSHOT],
            env=environment(endpoint, Path(home)),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])
