"""A process whose standard error nobody reads, or that has none."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.support.command import environment
from tests.support.waiting import free_port, until

SERVE = [sys.executable, "-m", "hfproxy", "serve", "--upstream", "http://127.0.0.1:9", "--port"]


def _answers(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError:
        return 0


def test_it_serves_and_stops_though_nobody_reads_its_standard_error_and_outlives_a_hangup(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [*SERVE, str(port)],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pipesize=4096,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(f"{url}/-/live") == 200)
            os.kill(process.pid, signal.SIGHUP)
            for _ in range(40):  # more than the pipe and what Linux adds to it can hold
                assert _answers(f"{url}/api/../{'x' * 1000}") == 400
            process.terminate()
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def test_it_starts_without_any_of_the_standard_files_and_gives_their_numbers_to_nothing_else(
    tmp_path: Path,
) -> None:
    port = free_port()
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *SERVE, str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment()) as process:
        try:
            until(lambda: _answers(f"http://127.0.0.1:{port}/-/live") == 200)
            assert {Path(f"/proc/{process.pid}/fd/{fd}").resolve() for fd in range(3)} == {Path("/dev/null")}
            process.terminate()
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
