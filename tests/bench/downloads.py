"""Downloads by curl, which costs so little that it is never what limits: one process for each client."""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

_MIB = 1024**2
_FORMAT = "%{http_code} %{size_download} %{time_starttransfer} %{time_total}"


@dataclass(frozen=True)
class Download:
    """What became of one."""

    status: int
    size_bytes: int
    first_byte_s: float
    whole_s: float

    @property
    def mib_per_s(self) -> float:
        return self.size_bytes / _MIB / self.whole_s


def begin(url: str, *options: str) -> "subprocess.Popen[str]":
    """A download under way; redirects are followed, the bytes thrown away."""
    command = ["curl", "-sSL", "-o", "/dev/null", "-w", _FORMAT, *options, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def end(process: "subprocess.Popen[str]") -> Download:
    """Waits for it."""
    told, _ = process.communicate()
    status, size, first, whole = told.split()
    return Download(int(status), int(size), float(first), float(whole))


def download(url: str, *options: str) -> Download:
    """One download. A status of 400 or more is an error."""
    done = end(begin(url, *options))
    assert done.status in {200, 206}, f"{url}: {done}"
    return done


@dataclass(frozen=True)
class Together:
    """Several downloads at once, by the clock that began before the first and ended after the last."""

    downloads: Sequence[Download]
    seconds: float

    @property
    def mib_per_s(self) -> float:
        return sum(done.size_bytes for done in self.downloads) / _MIB / self.seconds


def together(url: str, clients: int) -> Together:
    """The same file, so many times at once."""
    begun = time.perf_counter()
    downloads = [end(process) for process in [begin(url) for _ in range(clients)]]
    assert all(done.status == 200 for done in downloads), downloads
    return Together(downloads, time.perf_counter() - begun)
