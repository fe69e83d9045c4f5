"""S3-compatible servers of the tests' own: rclone's, small and quick, and OpenStack Swift's, which is a whole one."""

import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import obstore
from obstore.store import S3Store

from tests.support.pausing import pause
from tests.support.waiting import answers, free_port, until

REGION = "us-east-1"
_PATIENCE_S = 120  # its five processes start slowly where others work too
_RINGS = ("account", "container", "object")


@dataclass(frozen=True)
class S3Server:
    """Where it listens, whom it lets in, and the process that tests may stop and let go on."""

    url: str
    access_key: str
    secret_key: str
    pid: int

    def new_bucket(self) -> str:
        """The name of an empty bucket."""
        name = f"test-{uuid4().hex}"
        # obstore makes no buckets, but signs any address.
        address = obstore.sign(self.store(name), "PUT", "", expires_in=timedelta(minutes=5))
        with urllib.request.urlopen(urllib.request.Request(address, method="PUT"), timeout=30) as answer:
            assert answer.status in {200, 201}
        return name

    def store(self, bucket: str) -> S3Store:
        """A client for one bucket."""
        return S3Store(
            bucket,
            endpoint=self.url,
            region=REGION,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            client_options={"allow_http": True},
        )

    def pause(self) -> None:
        """It answers nothing any more."""
        pause(self.pid)

    def go_on(self) -> None:
        """It answers again."""
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def running_rclone() -> Iterator[S3Server]:
    """rclone's: it checks signatures, and answers the calls that a gateway makes."""
    with _folder() as home, ExitStack() as stack:
        port = free_port()
        program = Path(sys.executable).with_name("rclone")
        (home / "files").mkdir()
        process = stack.enter_context(
            _running(
                home,
                *(str(program), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", "tests,secret-of-tests"),
                *("--config", str(home / "none"), "--vfs-cache-mode", "writes", "--cache-dir", str(home / "cache")),
                str(home / "files"),
            )
        )
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(url), what="rclone's start")
        yield S3Server(url, "tests", "secret-of-tests", process.pid)


def swift_missing() -> str | None:
    """What is not installed of Swift; None if it is all there."""
    programs = ["swift-ring-builder", "swift-proxy-server", *(f"swift-{name}-server" for name in _RINGS), "memcached"]
    missing = [name for name in programs if shutil.which(name) is None]
    return ", ".join(missing) or None


@contextmanager
def running_swift() -> Iterator[S3Server]:
    """OpenStack Swift with its S3 API, in one folder."""
    with _folder() as home, ExitStack() as stack:
        ports = {name: free_port() for name in (*_RINGS, "memcached", "proxy")}
        (home / "devices" / "d1").mkdir(parents=True)
        (home / "swift.conf").write_text(_SWIFT_CONF)
        for name in _RINGS:
            (home / f"{name}.conf").write_text(_ring_conf(home, name, ports[name]))
        (home / "proxy.conf").write_text(_proxy_conf(home, ports))
        building = _build_rings(home, ports)
        stack.enter_context(_running(home, *_memcached(ports["memcached"])))
        for name in _RINGS:
            stack.enter_context(_running(home, f"swift-{name}-server", str(home / f"{name}.conf")))
        assert building.wait(_PATIENCE_S) == 0, (home / "rings.log").read_text()
        proxy = stack.enter_context(_running(home, "swift-proxy-server", str(home / "proxy.conf")))
        url = f"http://127.0.0.1:{ports['proxy']}"
        for name in _RINGS:
            until(partial(answers, f"http://127.0.0.1:{ports[name]}/"), what=f"Swift's {name} server")
        until(lambda: _healthy(url), what="Swift")
        yield S3Server(url, "test:tester", "testing", proxy.pid)


_SWIFT_CONF = """
[swift-hash]
swift_hash_path_prefix = tests
swift_hash_path_suffix = tests
[storage-policy:0]
name = Policy-0
default = yes
"""


def _memcached(port: int) -> list[str]:
    return ["memcached", "-u", getpass.getuser(), "-l", "127.0.0.1", "-p", str(port)]


# All rings by one start of Python, where Swift's own command would need nine.
_BUILD_RINGS = """
import sys
from swift.common.ring import RingBuilder
for ring in sys.argv[1:]:
    name, _, port = ring.partition("=")
    builder = RingBuilder(4, 1, 1)
    builder.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="d1", weight=1,
                         replication_ip="127.0.0.1", replication_port=int(port)))
    builder.rebalance()
    builder.get_ring().save(f"{name}.ring.gz")
"""


def _build_rings(home: Path, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    program = shutil.which("swift-ring-builder")
    assert program is not None
    interpreter = Path(program).read_text().splitlines()[0].removeprefix("#!").strip()
    rings = [f"{name}={ports[name]}" for name in _RINGS]
    with (home / "rings.log").open("wb") as log:
        return subprocess.Popen(
            [interpreter, "-c", _BUILD_RINGS, *rings], cwd=home, stdout=log, stderr=log, env=_clean()
        )


def _ring_conf(home: Path, name: str, port: int) -> str:
    return f"""
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {home}
devices = {home}/devices
mount_check = false
workers = 0
user = {getpass.getuser()}
disable_fallocate = true
fallocate_reserve = 0
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
recon_cache_path = {home}
"""


def _proxy_conf(home: Path, ports: dict[str, int]) -> str:
    filters = {
        "catch_errors": "",
        "gatekeeper": "",
        "healthcheck": "",
        "cache": f"memcache_servers = 127.0.0.1:{ports['memcached']}",
        "listing_formats": "",
        "bulk": "",
        "s3api": f"location = {REGION}",
        "tempauth": "user_test_tester = testing .admin",
        "slo": "",
        "versioned_writes": "",
    }
    sections = "\n".join(
        f"[filter:{name}]\nuse = egg:swift#{'memcache' if name == 'cache' else name}\n{more}"
        for name, more in filters.items()
    )
    return f"""
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {ports["proxy"]}
swift_dir = {home}
workers = 0
user = {getpass.getuser()}
[pipeline:main]
pipeline = {" ".join(filters)} proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
{sections}
"""


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthcheck", timeout=2) as answer:
            return bool(answer.read() == b"OK")
    except OSError:
        return False


def _clean() -> dict[str, str]:
    """The machine's environment without the virtual environment: Swift runs on the system's Python."""
    return {
        name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}
    }


@contextmanager
def _folder() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="hfproxy-s3-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _running(home: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the context."""
    with (home / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_clean())
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
