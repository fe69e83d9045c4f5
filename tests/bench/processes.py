"""Servers under measurement: each in a process of its own, with its CPU time and memory read from /proc."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.command import environment

ROOT = Path(__file__).parents[2]
HUB_TOKEN = "hf_sandbox_alice"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_START_TIMEOUT_S = 30


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, and what it has used so far."""

    url: str
    pid: int
    log: Path

    def cpu_s(self) -> float:
        """User and system time of the process until now, in steps of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def memory_mib(self) -> float:
        """Resident memory now."""
        return self._status_kib("VmRSS") / 1024

    def peak_memory_mib(self) -> float:
        """The most resident memory since the last `forget_peak`."""
        return self._status_kib("VmHWM") / 1024

    def forget_peak(self) -> None:
        """Begins a new peak (proc(5), `clear_refs`)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def sockets(self) -> int:
        """Open file descriptors that are sockets."""
        sockets = 0
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                sockets += entry.readlink().name.startswith("socket:")
        return sockets

    def _status_kib(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@contextmanager
def python_server(module: str, *arguments: str, ready: str = "ready") -> Iterator[Server]:
    """`python -m module`, which tells in a JSON line on stderr that it is ready, and its URL."""
    with _running([sys.executable, "-m", module, *arguments], ready=ready) as server:
        yield server


@contextmanager
def gateway(upstream: str, **variables: str) -> Iterator[Server]:
    """`hfproxy serve` before `upstream`, as it comes. variables: settings as `HFPROXY_SERVER__…`."""
    with tempfile.TemporaryDirectory() as root:
        settings = {
            "HF_ENDPOINT": upstream,
            "HF_TOKEN": HUB_TOKEN,
            "HFPROXY_SERVER__PORT": "0",
            "HFPROXY_STORAGE__ROOT": root,
            **variables,
        }
        with _running([sys.executable, "-m", "hfproxy", "serve"], ready="server.started", **settings) as server:
            yield server


@contextmanager
def sandbox_hub() -> Iterator[Server]:
    """`hfproxy sandbox`: the faithful Hub, far slower than the double."""
    with python_server("tests.bench.peers.sandbox") as server:
        yield server


@contextmanager
def _running(command: Sequence[str], *, ready: str, **variables: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment(**variables), stdout=subprocess.DEVNULL, stderr=stderr
            )
        try:
            yield Server(_url_of(process, log, ready), process.pid, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _url_of(process: subprocess.Popen[bytes], log: Path, ready: str) -> str:
    give_up = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < give_up and process.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}") and (told := json.loads(line)).get("event") == ready:
                return str(told["url"])
            if line.startswith("  Listening "):
                return line.split()[1]  # the first screen's, where the log is silent
        time.sleep(0.005)
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-4000:]}")


def wait_for_port(port: int, *, timeout_s: float = _START_TIMEOUT_S) -> None:
    """Returns as soon as something on loopback accepts connections."""
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port}")


def wait_for_200(url: str, *, timeout_s: float = _START_TIMEOUT_S) -> None:
    """Returns as soon as a GET is answered 200."""
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.003)
    raise RuntimeError(f"{url} did not answer")
