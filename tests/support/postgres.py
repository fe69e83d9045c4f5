"""A PostgreSQL of the tests' own: no port, a socket in a folder that goes away with it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DEBIAN = Path("/usr/lib/postgresql")


def find_server() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; None where PostgreSQL's server is not installed."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).parent
    return max(_DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name), default=None)


@contextmanager
def running_postgres(programs: Path) -> Iterator[str]:
    """A running server; gives the URL of its first database. It refuses to run as root, so root becomes `postgres`."""
    home = Path(tempfile.mkdtemp(prefix="hfproxy-pg-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(home, user)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [str(programs / program), *arguments], user=user, cwd=home, check=True, capture_output=True, timeout=60
        )

    folder = home / "data"
    run("initdb", "-A", "trust", "-U", "tests", "--no-sync", "-D", str(folder))
    settings = f"-c listen_addresses='' -k {home} -c max_connections=60"
    try:
        run("pg_ctl", "-D", str(folder), "-o", settings, "-l", str(home / "log"), "-w", "start")
        yield f"postgresql://tests@/postgres?host={home}"
    finally:
        run("pg_ctl", "-D", str(folder), "-m", "immediate", "-w", "stop")
        shutil.rmtree(home, ignore_errors=True)
