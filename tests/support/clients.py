"""The real clients, each generation in an environment of its own, run as a person would: in other processes.

`tests/e2e/clients/<version>.txt` pins one client with all it needs; its environment is built once, under
`.cache/clients/<version>` of the checkout.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = ROOT / "tests" / "e2e" / "clients"
NEWEST, LAST_1, LAST_0 = "2.4.0", "1.33.0", "0.36.2"
VERSIONS = (NEWEST, LAST_1, LAST_0)
#: The newest without hf_xet, and with `transformers` and `datasets`: environments as the versions' own.
WITHOUT_XET, LIBRARIES = f"{NEWEST}-without-xet", "libraries"
TIMEOUT_S = 120


@dataclass(frozen=True)
class Finished:
    """What a process said and how it ended."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


@dataclass(frozen=True)
class Client:
    """One version of `huggingface_hub`, with its commands."""

    version: str
    home: Path

    @property
    def python(self) -> Path:
        return self.home / "bin" / "python"

    @property
    def hf(self) -> Path:
        return self.home / "bin" / "hf"

    async def run(self, *command: str | Path, env: Mapping[str, str], stdin: str = "") -> Finished:
        """Run a command with this environment and nothing else of ours but PATH."""
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            env={"PATH": f"{self.home / 'bin'}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1", **env},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                out, err = await process.communicate(stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Finished(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


def environment(endpoint: str, home: Path, token: str | None = None) -> dict[str, str]:
    """What a client needs to know of a Hub, and a home of its own; Xet and everything beyond the endpoint are off."""
    return {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "hf"),
        "HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_COLOR": "1",
        **({"HF_TOKEN": token} if token else {}),
    }


def client(version: str) -> Client:
    """The client of that version, its environment built where it is missing or its pins have changed."""
    pins = PINS / f"{version}.txt"
    home = ROOT / ".cache" / "clients" / version
    told = home / ".pins"
    wanted = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    home.parent.mkdir(parents=True, exist_ok=True)
    with _locked(home.parent / f"{version}.lock"):
        if not told.is_file() or told.read_text() != wanted:
            shutil.rmtree(home, ignore_errors=True)
            _uv("venv", "--python", sys.executable, home)
            # The pins are all that is wanted, even where a client asks for more; compiled once, not in each process.
            how = ("--no-deps", "--compile-bytecode")
            _uv("pip", "install", "--python", home / "bin" / "python", "--requirements", pins, *how)
            told.write_text(wanted)
    return Client(version, home)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process of a parallel test run builds, the others wait."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _uv(*arguments: str | Path) -> None:
    uv = ROOT / ".tools" / "bin" / "uv"
    subprocess.run([str(uv), *map(str, arguments), "--quiet"], check=True, env={**os.environ, "UV_SYSTEM_CERTS": "1"})
