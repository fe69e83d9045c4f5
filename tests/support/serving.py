"""`hfproxy serve` in a process of its own, for tests of what only a process can do: log, be stopped, be killed."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.command import environment

START_TIMEOUT_S = 180


def whole_lines(log: Path) -> list[str]:
    """The lines of a file that somebody writes, but for one that is not all there yet."""
    text = log.read_text(errors="replace")
    return text[: text.rfind("\n") + 1].splitlines()


class Serving:
    """A running `hfproxy serve`."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._out, self._err = folder / "stdout", folder / "stderr"
        self.url = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def printed(self) -> str:
        """All that it has written until now, to both streams."""
        return self._out.read_text(errors="replace") + self._err.read_text(errors="replace")

    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of its log."""
        lines = whole_lines(self._err)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def open_files(self) -> int:
        """File descriptors that it holds."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def memory_mib(self) -> float:
        """Resident memory now."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))

    async def end(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code after this signal."""
        if self._process.returncode is None:
            self._process.send_signal(signum)
        async with asyncio.timeout(START_TIMEOUT_S):
            return await self._process.wait()

    async def started(self) -> None:
        """Returns once it listens."""
        async with asyncio.timeout(START_TIMEOUT_S):
            while not self.url:
                assert self._process.returncode is None, f"it did not start:\n{self.printed()}"
                self.url = next((event["url"] for event in self.events() if event["event"] == "server.started"), "")
                await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(
    root: Path, *, port: int = 0, open_files: int | tuple[int, int] | None = None, **variables: str
) -> AsyncIterator[Serving]:
    """A gateway that keeps its state in `root`, with its log there.

    open_files: how many files it may have open, or how many at first and how many when it asks.
    variables: as in the environment.
    """
    root.mkdir(parents=True, exist_ok=True)
    settings = {
        "HFPROXY_SERVER__PORT": str(port),
        "HFPROXY_STORAGE__ROOT": str(root / "kept"),
        "HFPROXY_LOGGING__FORMAT": "json",
    }
    with (root / "stdout").open("wb") as out, (root / "stderr").open("wb") as err:
        soft, hard = open_files if isinstance(open_files, tuple) else (open_files, open_files)
        limit = ["prlimit", f"--nofile={soft}:{hard}"] if soft is not None else []
        process = await asyncio.create_subprocess_exec(
            *limit,
            sys.executable,
            "-m",
            "hfproxy",
            "serve",
            cwd=root,
            env=environment(**{**settings, **variables}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
    running = Serving(process, root)
    try:
        await running.started()
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
