"""A PostgreSQL of the tests' own: no port, a socket in a folder that goes away with it."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.pausing import pause

_DEBIAN = Path("/usr/lib/postgresql")


def find_server() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; None where PostgreSQL's server is not installed."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).parent
    return max(_DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name), default=None)


class PostgresServer:
    """One that tests may stop, pause and start again."""

    def __init__(self, programs: Path, home: Path) -> None:
        self._programs, self._home = programs, home
        self._paused: list[int] = []
        # It refuses to run as root, so root becomes `postgres`.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(home, self._user)
        self.url = f"postgresql://tests@/postgres?host={home}"
        self._run("initdb", "-A", "trust", "-U", "tests", "--no-sync", "-D", str(home / "data"))

    def start(self) -> None:
        """Returns once it answers."""
        settings = f"-c listen_addresses='' -k {self._home} -c max_connections=60"
        self._run(
            *("pg_ctl", "-D", str(self._home / "data"), "-o", settings, "-l", str(self._home / "log"), "-w", "start")
        )

    def stop(self) -> None:
        """At once: connections break, and what was committed is found again at the next start."""
        self._run("pg_ctl", "-D", str(self._home / "data"), "-m", "immediate", "-w", "stop")

    def pause(self) -> None:
        """It answers nothing any more, and breaks no connection."""
        self._paused = [self._main, *children(self._main)]
        for pid in self._paused:
            pause(pid)

    def go_on(self) -> None:
        """It answers again."""
        for pid in reversed(self._paused):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._paused = []

    @property
    def _main(self) -> int:
        return int((self._home / "data" / "postmaster.pid").read_text().splitlines()[0])

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(command, user=self._user, cwd=self._home, check=True, capture_output=True, timeout=180)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that live."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def running_postgres(programs: Path) -> Iterator[PostgresServer]:
    """A running server."""
    home = Path(tempfile.mkdtemp(prefix="hfproxy-pg-"))
    server = PostgresServer(programs, home)
    server.start()
    try:
        yield server
    finally:
        server.go_on()
        with suppress(subprocess.CalledProcessError):  # a test has stopped it
            server.stop()
        shutil.rmtree(home, ignore_errors=True)
