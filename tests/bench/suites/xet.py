"""Xet through the gateway: what a second version costs upstream, and how fast chunks go down and up."""

import asyncio
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import IO

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from tests.bench.effort import Effort
from tests.bench.processes import HUB_TOKEN, ROOT, Server, gateway
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved, middle
from tests.support.clients import NEWEST, client, environment

_MIB = 1024**2
_STEP = 16 * _MIB
_CHANGED_TENTHS = 1
_REPO, _FILE = "alice/bench", "model.bin"
_DOWN, _PLAIN, _DIRECT_DOWN = "Xet, kept by the gateway", "plain HTTP, kept by the gateway", "Xet, directly"
_UP, _DIRECT_UP = "Xet through the gateway", "Xet, directly"
_numbers = count()


@dataclass(frozen=True)
class Moved:
    """One transfer: the client's clock and CPU, and the gateway's CPU and how far its memory rose above rest."""

    seconds: float
    client_cpu_s: float
    gateway_cpu_s: float
    grown_mib: float

    def mib_per_s(self, size: int) -> float:
        return size / _MIB / self.seconds


def xet(effort: Effort) -> Report:
    """A second version that shares nine tenths, a hot download next to plain HTTP, an upload next to a direct one."""
    size = effort.mib * _MIB
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        hub = stack.enter_context(_sandbox(folder / "hub"))
        server = stack.enter_context(gateway(hub.url, HFPROXY_XET__MODE="relay", HF_TOKEN="", HF_ACCESS_TOKEN=""))
        through, directly = _Client(folder, server.url, server), _Client(folder, hub.url, server)
        first, second = _versions(folder, size)
        traffic = hub.hub.cas.traffic
        cost = []
        for file in (first, second):
            through.up(_REPO, file, _FILE)
            for _ in ("cold", "hot"):
                before = traffic.bytes_out
                through.down(_REPO, _FILE)
                cost.append((traffic.bytes_out - before) / size)
        through.down(_REPO, _FILE, plain=True)
        down = interleaved(
            {
                _DOWN: partial(through.down, _REPO, _FILE),
                _PLAIN: partial(through.down, _REPO, _FILE, plain=True),
                _DIRECT_DOWN: partial(directly.down, _REPO, _FILE),
            },
            rounds=effort.rounds,
        )
        up = interleaved(
            {_UP: partial(_up_fresh, through, folder, size), _DIRECT_UP: partial(_up_fresh, directly, folder, size)},
            rounds=effort.rounds,
        )
    speed = {
        (way, name): middle(each, lambda moved: moved.mib_per_s(size))
        for way, results in (("down", down), ("up", up))
        for name, each in results.items()
    }
    hot = speed["down", _DOWN] / speed["down", _PLAIN]
    upload = speed["up", _UP] / speed["up", _DIRECT_UP]
    grown = max(moved.grown_mib for moved in up[_UP])
    return Report(
        name="xet",
        title="Xet",
        method=f"The real client (huggingface_hub {NEWEST} with hf_xet) and a file of {effort.mib} MiB that does "
        "not shrink, each time with an empty cache of its own; the sandbox Hub is the upstream and, with the client, "
        "shares the cores with the gateway. *Plain HTTP* is the same client without hf_xet.",
        findings=[
            f"A second version that shares nine tenths of its chunks costs {cost[2]:.3f} of its bytes upstream "
            f"(bound: 0.15), the first {cost[0]:.2f}; fetched again, they cost {cost[1]:.2f} and {cost[3]:.2f}.",
            f"A hot download by Xet has {hot:.2f} × the speed of the same file over plain HTTP (bound: 0.7).",
            f"An upload through the gateway has {upload:.2f} × the speed of a direct one (bound: 0.8); the gateway's "
            f"memory rises by at most {grown:.0f} MiB.",
        ],
        tables=[
            Table(
                ["", "MiB per s", "client's CPU, s", "gateway's CPU, s", "gateway's memory rises by, MiB"],
                [
                    [
                        f"{way}: {name}",
                        f"{speed[way, name]:.0f}",
                        f"{middle(each, lambda moved: moved.client_cpu_s):.1f}",
                        f"{middle(each, lambda moved: moved.gateway_cpu_s):.2f}",
                        f"{max(moved.grown_mib for moved in each):.0f}",
                    ]
                    for way, results in (("down", down), ("up", up))
                    for name, each in results.items()
                ],
            )
        ],
    )


class _Client:
    """The newest client before one endpoint, with a home of its own for each transfer: a home remembers chunks."""

    def __init__(self, folder: Path, endpoint: str, server: Server) -> None:
        self._folder, self._endpoint, self._server = folder, endpoint, server
        self._client = client(NEWEST)

    def up(self, repo: str, file: Path, name: str) -> Moved:
        return self._run("up", repo, str(file), name)

    def down(self, repo: str, name: str, *, plain: bool = False) -> Moved:
        return self._run("down", repo, name, plain=plain)

    def _run(self, *arguments: str, plain: bool = False) -> Moved:
        with tempfile.TemporaryDirectory(dir=self._folder) as home:
            env = environment(self._endpoint, Path(home), HUB_TOKEN)
            if not plain:
                del env["HF_HUB_DISABLE_XET"]
            rest_mib, cpu_s = self._server.memory_mib(), self._server.cpu_s()
            self._server.forget_peak()
            script = ROOT / "tests" / "bench" / "peers" / "xet_client.py"
            done = subprocess.run(
                [self._client.python, script, *arguments], env=env, capture_output=True, text=True, check=False
            )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        return Moved(
            told["seconds"],
            told["cpu_s"],
            self._server.cpu_s() - cpu_s,
            max(0.0, self._server.peak_memory_mib() - rest_mib),
        )


def _up_fresh(by: _Client, folder: Path, size: int) -> Moved:
    """Uploads what no store has seen."""
    number = next(_numbers)
    file = folder / "fresh.bin"
    with file.open("wb") as fresh:
        _fill(fresh, 1000 + number, size)
    return by.up(f"alice/up-{number}", file, _FILE)


def _versions(folder: Path, size: int) -> tuple[Path, Path]:
    """A file, and its next version: a tenth of it is new, in one place, as when a layer was trained on."""
    first, second = folder / "first.bin", folder / "second.bin"
    with first.open("wb") as written:
        _fill(written, 1, size)
    shutil.copyfile(first, second)
    with second.open("r+b") as changed:
        changed.seek(size // 3)
        _fill(changed, 2, size * _CHANGED_TENTHS // 10)
    return first, second


def _fill(file: IO[bytes], seed: int, size: int) -> None:
    """Writes what does not shrink."""
    random = Random(seed)
    for at in range(0, size, _STEP):
        file.write(random.randbytes(min(_STEP, size - at)))


@contextmanager
def _sandbox(data: Path) -> Iterator[Sandbox]:
    """The sandbox Hub in a thread of this process, which does nothing else meanwhile: its traffic can be read."""
    started: list[Sandbox] = []
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        try:
            async with running_sandbox(SandboxConfig(data=data)) as sandbox:
                started.append(sandbox)
                ready.set()
                await stop.wait()
        finally:
            ready.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), name="sandbox")
    thread.start()
    try:
        ready.wait()
        [sandbox] = started
        yield sandbox
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
