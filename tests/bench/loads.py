"""Load on a server: as many requests as it takes over N kept connections, by `wrk` where it is installed.

The generator is a process of its own. `wrk` costs little CPU; without it a small one in Python does the same work
for about as much CPU as a server takes, so absolute figures are lower then.
"""

import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.processes import ROOT

# Line ends of Lua's long strings lose their CR, hence the quoted template. A run ends in the middle of requests: what
# was asked for and not answered by then is not counted.
_WRK_SCRIPT = """
local template, asked = "@TEMPLATE@", 0
function request()
  asked = asked + 1
  return (string.gsub(template, "UNIQUE", string.format("@TAG@%06d", asked)))
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nFIRED {"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "failed": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """One kind of request, repeated. Where `body` says UNIQUE, every request says something else."""

    method: str
    path: str
    body: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def request(self, host: str) -> bytes:
        """The whole request as it is sent; UNIQUE is still in it, and is 12 bytes long on the wire."""
        headers = {"Host": host, **dict(self.headers)}
        body = self.body or ""
        if self.body is not None:
            length = len(body.encode()) + body.count("UNIQUE") * (TAG_BYTES - len("UNIQUE"))
            headers |= {"Content-Type": "application/json", "Content-Length": str(length)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{lines}\r\n{body}".encode()


@dataclass(frozen=True)
class Fired:
    """What a load came to. cpu_s: the generator's own."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_s: float

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds


TAG_BYTES = 12
_runs = 0


def fire(load: Load, url: str, *, connections: int, seconds: float, to_the_end: bool = False) -> Fired:
    """Keeps `connections` busy with the request for so many seconds (wrk: whole ones).

    to_the_end: every request is waited for. `wrk` hangs up in the middle of its last ones.
    """
    global _runs
    _runs += 1
    # A tag of its own for every run, and six figures for the request's number in it.
    tag = f"{os.getpid() % 1000:03d}{_runs:03d}"
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        # `wrk` waits for the body that the head of an answer to HEAD speaks of.
        if shutil.which("wrk") and not to_the_end and load.method != "HEAD":
            fired = _wrk(load, url, connections, seconds, tag, Path(folder))
        else:
            fired = _python(load, url, connections, seconds, tag)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Fired(cpu_s=cpu_s, **fired)


def _wrk(load: Load, url: str, connections: int, seconds: float, tag: str, folder: Path) -> dict[str, Any]:
    template = load.request(url.removeprefix("http://")).decode()
    for char, escape in (("\\", "\\\\"), ('"', '\\"'), ("\r\n", "\\r\\n")):
        template = template.replace(char, escape)
    script = folder / "load.lua"
    script.write_text(_WRK_SCRIPT.replace("@TEMPLATE@", template).replace("@TAG@", tag))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--timeout", "30s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    line = next(line for line in done.stdout.splitlines() if line.startswith("FIRED "))
    told: dict[str, Any] = json.loads(line.removeprefix("FIRED "))
    return told


def _python(load: Load, url: str, connections: int, seconds: float, tag: str) -> dict[str, Any]:
    given = {**asdict(load), "url": url, "connections": connections, "seconds": seconds, "tag": tag}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.generator"],
        input=json.dumps(given),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told
