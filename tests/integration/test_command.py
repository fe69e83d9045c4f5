"""The command as a person types it, in its own process."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.command import environment, hfproxy


def _settings(output: str) -> dict[str, tuple[str, str]]:
    rows = {}
    for line in output.splitlines():
        variable, _, rest = line.partition("  ")
        value, _, origin = rest.rstrip().rpartition("  ")
        rows[variable.strip()] = (value.strip(), origin)
    return rows


def test_help_names_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    done = hfproxy("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("serve", "sandbox", "config", "Exit codes"):
        assert word in done.stdout


def test_config_tells_each_value_and_where_it_came_from_but_no_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HF_ACCESS_TOKEN=hf_from_dotenv\nHFPROXY_SERVER__PORT=9001\nHF_ENDPOINT=sandbox\n")
    done = hfproxy("config", cwd=tmp_path, HFPROXY_SERVER__PORT="9002", HFPROXY_SERVER__HOST="::1")
    rows = _settings(done.stdout)
    assert rows["HFPROXY_SERVER__PORT"] == ("9002", "environment")
    assert rows["HFPROXY_SERVER__HOST"] == ("::1", "environment")
    assert rows["HFPROXY_UPSTREAM__ENDPOINT"] == ("sandbox", ".env, HF_ENDPOINT")
    assert rows["HFPROXY_UPSTREAM__TOKEN"] == ("********", ".env, HF_ACCESS_TOKEN")
    assert rows["HFPROXY_LOGGING__LEVEL"] == ("info", "default")
    assert "hf_from_dotenv" not in done.stdout + done.stderr


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("hf_from_file\n")
    done = hfproxy("config", cwd=tmp_path, HF_TOKEN_FILE=str(secret))
    assert _settings(done.stdout)["HFPROXY_UPSTREAM__TOKEN"] == ("********", "environment, HF_TOKEN_FILE")
    assert "hf_from_file" not in done.stdout
    done = hfproxy("config", "check", cwd=tmp_path, HFPROXY_UPSTREAM__TOKEN_FILE=str(tmp_path / "missing"))
    assert done.returncode == 78
    assert "HFPROXY_UPSTREAM__TOKEN_FILE: cannot read" in done.stderr


@pytest.mark.parametrize("command", [("config", "check"), ("serve",)])
def test_every_mistake_is_one_line_and_no_stack_trace(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HFPROXY_SERVER__PROT=1\n")
    done = hfproxy(
        *command,
        cwd=tmp_path,
        HFPROXY_SERVR__PORT="1",
        HFPROXY_SERVER__PORT="many",
        HF_ENDPOINT="ftp://example.org",
        HFPROXY_UPSTREAM__CONNECT_TIMEOUT="soon",
    )
    assert done.returncode == 78
    mistakes = done.stderr.splitlines()[1:]
    names = [line.strip().partition(":")[0] for line in mistakes]
    assert sorted(names) == [
        "HFPROXY_SERVER__PORT",
        "HFPROXY_SERVER__PROT",
        "HFPROXY_SERVR__PORT",
        "HFPROXY_UPSTREAM__CONNECT_TIMEOUT",
        "HFPROXY_UPSTREAM__ENDPOINT",
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--data", "a file"), "a file/repos cannot be used: Not a directory"),
        (("--accounts", "missing"), "missing cannot be used: No such file or directory"),
        (("--accounts", "a file"), "a file holds no accounts:\n  JSON: Invalid JSON"),
    ],
)
def test_a_sandbox_says_which_file_it_cannot_use(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("no JSON")
    done = hfproxy("sandbox", "--port", "0", *arguments, cwd=tmp_path)
    assert done.returncode == 78
    assert done.stderr.startswith(told)


def test_what_kubernetes_adds_for_a_service_of_our_name_is_no_mistake(tmp_path: Path) -> None:
    done = hfproxy(
        "config", "check", cwd=tmp_path, HFPROXY_SERVICE_HOST="10.0.0.1", HFPROXY_PORT_8080_TCP_ADDR="10.0.0.1"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [("serve",), ("serve", "--workers", "2"), ("config", "check")])
def test_a_gateway_that_would_be_its_own_hub_does_not_start(command: tuple[str, ...], tmp_path: Path) -> None:
    """The address that clients have from their shell's HF_ENDPOINT, in the shell that a gateway is started in."""
    done = hfproxy(*command, cwd=tmp_path, HF_ENDPOINT="http://localhost:18080", HFPROXY_SERVER__PORT="18080")
    assert done.returncode == 78
    assert "http://localhost:18080 is where this gateway itself listens" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = hfproxy("serve", "--upstream", "sandbox", "--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert done.returncode == 69
    assert "cannot listen on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_shows_a_first_screen_answers_and_ends_well(tmp_path: Path) -> None:
    """A newcomer's first minute; a token of the machine's owner is not shown to the sandbox."""
    with subprocess.Popen(
        [sys.executable, "-m", "hfproxy", "serve", "--upstream", "sandbox", "--port", "0"],
        cwd=tmp_path,
        env=environment(HF_TOKEN="hf_owner_of_this_machine"),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        screen = ""
        while "Ctrl-C" not in screen:
            line = process.stderr.readline()
            assert line, screen
            screen += line
        url = next(line.split()[1] for line in screen.splitlines() if line.startswith("  Listening"))
        with urllib.request.urlopen(f"{url}/api/account") as answer:
            assert json.load(answer)["name"] == "alice"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=120) == 0
        screen += process.stderr.read()
    assert "sandbox" in screen
    assert f"curl {url}/api/account" in screen
    assert "Traceback" not in screen
    assert "hf_owner_of_this_machine" not in screen


def test_ctrl_c_while_the_command_is_imported_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import time\nprint('imported', flush=True)\ntime.sleep(600)\n")
    # As from a terminal, whatever the tests were started by: a job in the background of a script ignores Ctrl-C.
    from_a_terminal = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", from_a_terminal + "runpy.run_module('hfproxy', run_name='__main__')", "serve"]
    folders = {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(**folders), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "imported\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == -signal.SIGINT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
@pytest.mark.parametrize("command", [("--help",), ("config",), ("cache", "stats", "--json")])
def test_what_cannot_be_printed_on_a_full_disk_is_told_in_one_line(command: tuple[str, ...], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hfproxy", *command],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "[Errno 28] No space left on device\n")
