"""Files that are not kept yet: how fast they come, and what of them is asked of the Hub."""

import os
import resource
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from urllib.parse import urlsplit

from tests.bench.charts import Chart
from tests.bench.double.content import SyntheticFile
from tests.bench.double.control import DoubleHub, double_hub
from tests.bench.downloads import download, together
from tests.bench.effort import Effort
from tests.bench.free_memory import take_from_host
from tests.bench.peers.nginx import installed, nginx
from tests.bench.processes import Server, gateway, python_server
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved, middle

_MIB = 1024**2
_RELAY, _SLICES, _OURS, _DIRECT = "plain aiohttp relay", "nginx slice cache", "hfproxy", "directly"
_CAP_BYTES_PER_S = 16 * _MIB
_LINE_BYTES_PER_S = 24 * _MIB
_CLIENTS = 50
_numbers = count()


@dataclass(frozen=True)
class Cold:
    """One new file. CPU time is that of a GiB: the server's, and with it the double's and the client's."""

    mib_per_s: float
    server_s: float
    all_s: float


def cold_large(effort: Effort) -> Report:
    """Throughput of a cold large file over a fast line, next to a plain relay and nginx's slice cache."""
    with ExitStack() as stack:
        hub = stack.enter_context(double_hub())
        servers = {
            _DIRECT: hub.server,
            _RELAY: stack.enter_context(python_server("tests.bench.peers.aiohttp_peers", "relay", hub.url)),
            _OURS: stack.enter_context(gateway(hub.url, HFPROXY_STORAGE__MAX_SIZE=f"{4 * effort.mib}MiB")),
        }
        if installed():
            servers[_SLICES] = stack.enter_context(nginx("slices", upstream=_cdn_of(hub)))
        results = interleaved(
            {
                (name, free): partial(_cold, hub, server, effort.mib, from_cdn=name == _SLICES, free=free)
                for free in (True, False)
                for name, server in servers.items()
            },
            rounds=effort.rounds,
        )
    speed = {cell: middle(each, lambda cold: cold.mib_per_s) for cell, each in results.items()}
    server_s = {name: middle(results[name, True], lambda cold: cold.server_s) for name in servers}
    all_s = {name: middle(results[name, True], lambda cold: cold.all_s) for name in servers}
    cores = os.cpu_count() or 1
    least_s, relay_s = all_s[_OURS] / cores, 1024 / speed[_RELAY, True]
    findings = [
        _compared(speed, _RELAY, "the plain relay", "0.9"),
        f"Server, double and client together use {all_s[_OURS]:.2f} s of CPU for each GiB with hfproxy: {cores} cores "
        f"need {least_s:.2f} s at least, which is {relay_s / least_s:.2f} × the relay ({relay_s:.2f} s by the clock).",
    ]
    if _SLICES in servers:
        findings.append(_compared(speed, _SLICES, "nginx's slice cache", "more than 1"))
    return Report(
        name="cold-large",
        title="A large file for the first time",
        method=f"A new file of {effort.mib} MiB each time, the Hub's double on loopback without a cap. hfproxy hashes, "
        "verifies and stores it meanwhile; the relay only hands it on. What is stored takes memory, which a virtual "
        "machine may have to get from its host first: measured with memory that was got before, and as it comes.",
        findings=findings,
        tables=[
            Table(
                [
                    "",
                    "MiB/s",
                    f"÷ {_RELAY}",
                    "CPU s for each GiB",
                    "… of all",
                    "memory as it comes: MiB/s",
                    f"÷ {_RELAY}",
                ],
                [
                    [
                        name,
                        f"{speed[name, True]:,.0f}",
                        f"{speed[name, True] / speed[_RELAY, True]:.2f}",
                        f"{server_s[name]:.2f}",
                        f"{all_s[name]:.2f}",
                        f"{speed[name, False]:,.0f}",
                        f"{speed[name, False] / speed[_RELAY, False]:.2f}",
                    ]
                    for name in servers
                ],
            )
        ],
        charts=[
            Chart(
                "cold-large",
                "A large file for the first time",
                "MiB/s",
                ["memory at hand", "memory as it comes"],
                [(name, [speed[name, True], speed[name, False]]) for name in servers],
            )
        ],
    )


def _compared(speed: Mapping[tuple[str, bool], float], with_: str, called: str, wanted: str) -> str:
    at_hand, as_it_comes = (speed[_OURS, free] / speed[with_, free] for free in (True, False))
    return f"{at_hand:.2f} × {called} (to reach: {wanted}); with memory as it comes {as_it_comes:.2f} ×."


def capped(effort: Effort) -> Report:
    """A cold file where the CDN caps each connection, next to one connection."""
    file = _new_file(256)
    with double_hub() as hub, gateway(hub.url) as ours:
        _prepare(hub, file)
        hub.behave(connection_cap=_CAP_BYTES_PER_S)
        alone = download(f"{hub.url}{_path(file)}")
        through = download(f"{ours.url}{_path(file)}")
    return Report(
        name="capped",
        title="A large file from a CDN that caps each connection",
        method=f"256 MiB, each connection capped at {_CAP_BYTES_PER_S // _MIB} MiB/s.",
        findings=[f"{alone.whole_s / through.whole_s:.1f} × as fast as one connection (to reach: 4)."],
        tables=[
            Table(
                ["", "seconds", "MiB/s"],
                [
                    [name, f"{done.whole_s:.1f}", f"{done.mib_per_s:.0f}"]
                    for name, done in (("one connection", alone), (_OURS, through))
                ],
            )
        ],
    )


def fan_out(effort: Effort) -> Report:
    """Fifty clients at once for one cold file over a slow line: when each is done, and what came from the Hub."""
    file = _new_file(256)
    with double_hub() as hub, gateway(hub.url) as ours:
        _prepare(hub, file)
        hub.behave(total_cap=_LINE_BYTES_PER_S)
        alone = download(f"{hub.url}{_path(file)}")
        hub.forget()
        done = together(f"{ours.url}{_path(file)}", _CLIENTS)
        sent = hub.counts()["bytes_sent"]
    slowest = max(each.whole_s for each in done.downloads)
    return Report(
        name="fan-out",
        title=f"{_CLIENTS} clients, one file, for the first time",
        method=f"256 MiB over a line of {_LINE_BYTES_PER_S // _MIB} MiB/s in all.",
        findings=[
            f"{sent / file.size_bytes:.2f} × the file came from the Hub (to reach: 1.00); the last of {_CLIENTS} "
            f"was done after {slowest / alone.whole_s:.2f} × the time of one direct download (to reach: 1.1)."
        ],
        tables=[
            Table(
                ["", "seconds", "÷ direct"],
                [
                    ["one client, directly", f"{alone.whole_s:.1f}", "1.00"],
                    *(
                        [name, f"{seconds:.1f}", f"{seconds / alone.whole_s:.2f}"]
                        for name, seconds in (
                            ("first of fifty", min(each.whole_s for each in done.downloads)),
                            ("last of fifty", slowest),
                            ("first byte of the last", max(each.first_byte_s for each in done.downloads)),
                        )
                    ),
                ],
            )
        ],
    )


def thrift(effort: Effort) -> Report:
    """What is fetched for a small part of a large file, and for a client that is killed at half and comes again."""
    part, broken = _new_file(effort.mib), _new_file(256)
    rows = []
    with ExitStack() as stack:
        hub = stack.enter_context(double_hub())
        bases = {_OURS: stack.enter_context(gateway(hub.url)).url}
        if installed():
            bases[_SLICES] = stack.enter_context(nginx("slices", upstream=_cdn_of(hub))).url
        for name, base in bases.items():
            from_cdn = name == _SLICES
            for file in (part, broken):
                _prepare(hub, file)
            middle_of_it = part.size_bytes // 2 + 12345
            with _counted(hub) as sent:
                download(base + _path(part, from_cdn), "-r", f"{middle_of_it}-{middle_of_it + _MIB - 1}")
            with _counted(hub) as sent_twice:
                _killed_at_half(base + _path(broken, from_cdn), broken.size_bytes)
                assert download(base + _path(broken, from_cdn)).size_bytes == broken.size_bytes
            rows.append((name, sent[0] / _MIB, sent_twice[0] / broken.size_bytes))
    _, mib, times = rows[0]
    return Report(
        name="thrift",
        title="What is asked of the Hub",
        method=f"1 MiB out of the middle of a cold file of {effort.mib} MiB; 256 MiB whose client is killed when "
        "half of it has come, and asks again.",
        findings=[
            f"{mib:.0f} MiB from the Hub for 1 MiB (to reach: 8); {times:.2f} × the file for a client that was killed "
            "at half and came again (to reach: 1.00)."
        ],
        tables=[
            Table(
                ["", "MiB from the Hub for 1 MiB", "from the Hub ÷ file, killed and again"],
                [[name, f"{mib:.1f}", f"{times:.2f}"] for name, mib, times in rows],
            )
        ],
    )


def _new_file(mib: int) -> SyntheticFile:
    return SyntheticFile(f"cold{next(_numbers)}", mib * _MIB)


def _path(file: SyntheticFile, from_cdn: bool = False) -> str:
    return f"/{file.name}" if from_cdn else f"/bench/files/resolve/main/{file.name}"


def _prepare(hub: DoubleHub, file: SyntheticFile) -> None:
    """Lets the double make the file and its hash, so that nobody is measured waiting for that."""
    hub.behave()
    download(f"{hub.url}{_path(file)}", "-r", "0-0")


def _cold(hub: DoubleHub, server: Server, mib: int, *, from_cdn: bool, free: bool) -> Cold:
    """A new file. free: there is free memory for it at hand."""
    file = _new_file(mib)
    _prepare(hub, file)
    if free:
        take_from_host(2 * mib)
    server_s, hub_s, client_s = server.cpu_s(), hub.server.cpu_s(), _clients_s()
    done = download(server.url + _path(file, from_cdn))
    assert done.size_bytes == file.size_bytes
    server_s, hub_s, client_s = server.cpu_s() - server_s, hub.server.cpu_s() - hub_s, _clients_s() - client_s
    gib = mib / 1024
    between_s = 0 if server is hub.server else server_s
    return Cold(done.mib_per_s, server_s / gib, (between_s + hub_s + client_s) / gib)


def _clients_s() -> float:
    """The CPU time of all clients that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cdn_of(hub: DoubleHub) -> str:
    """The double's CDN, from where it redirects to."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object, **__: object) -> None:
            return None

    try:
        urllib.request.build_opener(Stay).open(f"{hub.url}{_path(_new_file(1))}", timeout=30)
    except urllib.error.HTTPError as redirect:
        location = urlsplit(redirect.headers["Location"])
        return f"{location.scheme}://{location.netloc}"
    raise RuntimeError("the double did not redirect")


@contextmanager
def _counted(hub: DoubleHub) -> Iterator[list[int]]:
    """The bytes that the double sent meanwhile, known at the end."""
    sent: list[int] = []
    hub.forget()
    yield sent
    sent.append(hub.counts()["bytes_sent"])


def _killed_at_half(url: str, size_bytes: int) -> None:
    with urllib.request.urlopen(url, timeout=60) as response:
        left = size_bytes // 2
        while left > 0:
            left -= len(response.read(min(left, _MIB)))
