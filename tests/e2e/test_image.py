"""The image, really built and really run."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hfproxy.local_authority import make_certificate
from tests.support.image import ENGINE, ROOT, built_image, container, engine
from tests.support.scripted_hub import Asked, says, scripted_hub
from tests.support.waiting import answers, free_port, until

pytestmark = pytest.mark.timeout(900)

ALICE = says(200, b'{"type": "user", "name": "alice", "fullname": "Alice", "orgs": []}')
SANDBOX = ("-e", "HF_ENDPOINT=sandbox", "-e", "HFPROXY_ACCESS__ANONYMOUS=admin")


@pytest.fixture(scope="module")
def image() -> str:
    return built_image()


def _get(url: str, *, tls: ssl.SSLContext | None = None) -> Any:
    with urllib.request.urlopen(url, timeout=10, context=tls) as response:
        return json.load(response)


def _listening(port: int, host: str = "127.0.0.1") -> tuple[str, ...]:
    return ("-e", f"HFPROXY_SERVER__HOST={host}", "-e", f"HFPROXY_SERVER__PORT={port}")


def test_it_serves_without_rights_and_without_writing_to_itself(image: str) -> None:
    port = free_port()
    with container(image, options=(*SANDBOX, *_listening(port))) as name:
        until(lambda: answers(f"http://127.0.0.1:{port}/-/live"), what="the container's answer")
        assert _get(f"http://127.0.0.1:{port}/api/account")["name"] == "alice"
        assert engine("exec", name, "hfproxy", "health").returncode == 0
        script = (
            "id -u; grep CapEff /proc/1/status | tr -d '\\t'; touch /hfproxy/x 2>&1; touch /hfproxy/data/x && echo kept"
        )
        uid, capabilities, refused, kept = engine("exec", name, "sh", "-c", script).stdout.splitlines()
        assert (uid, capabilities, kept) == ("10001", "CapEff:0000000000000000", "kept")
        assert "Read-only file system" in refused
        assert engine("stop", "--time", "20", name).returncode == 0
        assert engine("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "0"


def test_any_user_id_will_do(image: str) -> None:
    port = free_port()
    with container(image, options=(*SANDBOX, *_listening(port), "--user", "12345:0")):
        until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), what="the container's answer")


def test_it_has_no_compiler_no_installer_of_ours_and_says_what_it_is(image: str) -> None:
    asked = engine(
        "run", "--rm", "--entrypoint", "sh", image, "-c", "ls /hfproxy/.venv/bin; command -v cc gcc uv; true"
    )
    programs = set(asked.stdout.split())
    assert "hfproxy" in programs
    assert not programs & {"pip", "uv", "/usr/bin/gcc", "/usr/bin/cc", "pytest"}
    [found] = json.loads(engine("inspect", image).stdout)
    config = found["Config"]
    assert config["User"] == "10001:0"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert (
        engine("run", "--rm", image, "--version").stdout.split()[1]
        == config["Labels"]["org.opencontainers.image.version"]
    )
    assert (config.get("Healthcheck") or found["Healthcheck"])["Test"] == ["CMD", "hfproxy", "health"]


def test_nothing_secret_of_the_checkout_is_in_it(image: str) -> None:
    listed = engine("run", "--rm", "--entrypoint", "sh", image, "-c", "ls -A /hfproxy /hfproxy/data").stdout.split()
    assert sorted(listed) == [".venv", "/hfproxy/data:", "/hfproxy:", "data"]


def test_it_refuses_to_be_open_to_all_by_accident(image: str) -> None:
    done = engine("run", "--rm", "--network", "host", "-e", "HF_ENDPOINT=sandbox", image)
    assert done.returncode == 78
    assert "HFPROXY_ACCESS__ANONYMOUS" in done.stderr


async def test_sigterm_under_load_lets_running_requests_finish(image: str) -> None:
    release, arrived = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        arrived.release()
        await release.wait()
        await ALICE(asked, writer)

    port, callers = free_port(), 40
    url = f"http://127.0.0.1:{port}"
    async with scripted_hub(slow) as hub, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        settings = ("-e", f"HF_ENDPOINT={hub.url}", "-e", "HFPROXY_ACCESS__ANONYMOUS=admin", *_listening(port))
        with container(image, options=settings) as name:
            await asyncio.to_thread(until, lambda: answers(f"{url}/-/live"), what="the container's answer")

            async def call() -> int:
                async with http.get(f"{url}/api/account") as response:
                    await response.read()
                    return response.status

            calls = [asyncio.create_task(call()) for _ in range(callers)]
            for _ in range(callers):
                await arrived.acquire()
            await asyncio.to_thread(engine, "kill", "--signal", "TERM", name)
            await asyncio.to_thread(until, lambda: not answers(f"{url}/-/live"), what="the refusal of new connections")
            release.set()
            assert await asyncio.gather(*calls) == [200] * callers
            ended = await asyncio.to_thread(engine, "wait", name)
            assert ended.stdout.strip() == "0"


def _make(target: str, port: int, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """`make rundocker` or `make mntcerts` as a person types it, with a network, volume and files of the test's own."""
    given = {
        "IMAGE": "hfproxy-test",
        "NETWORK": "host",
        "PORT": str(port),
        "NAME": f"hfproxy-test-{port}",
        "VOLUME": f"hfproxy-test-{port}",
        "ENV_FILE": str(cwd / ".env"),
        "CERTS": str(cwd / "certs"),
        **variables,
    }
    return subprocess.Popen(
        ["make", "--no-print-directory", target, *(f"{name}={value}" for name, value in given.items())],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def _end(run: subprocess.Popen[str], port: int) -> str:
    engine("stop", "--time", "20", f"hfproxy-test-{port}")
    try:
        said, _ = run.communicate(timeout=60)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        engine("volume", "rm", "--force", f"hfproxy-test-{port}")
    return said


def test_make_rundocker_without_a_dotenv_is_the_sandbox(image: str, tmp_path: Path) -> None:
    port = free_port()
    run = _make("rundocker", port, tmp_path)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/-/live") or run.poll() is not None)
        assert _get(f"http://127.0.0.1:{port}/api/account")["name"] == "alice"
    finally:
        said = _end(run, port)
    assert run.returncode == 0, said


def test_make_rundocker_reads_the_dotenv_and_wants_to_be_told_who_may_do_what(image: str, tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("HF_ENDPOINT=sandbox\nHF_TOKEN='hf_sandbox_bob'\n")
    dotenv.chmod(0o600)
    port = free_port()
    run = _make("rundocker", port, tmp_path, ANONYMOUS="reader")
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/-/live") or run.poll() is not None)
        assert _get(f"http://127.0.0.1:{port}/api/account")["name"] == "bob"
    finally:
        said = _end(run, port)
    assert "hf_sandbox_bob" not in said


def test_make_mntcerts_serves_https_with_the_mounted_certificate(image: str, tmp_path: Path) -> None:
    make_certificate(tmp_path / "certs", [])
    trust = ssl.create_default_context(cafile=tmp_path / "certs" / "ca.pem")
    port = free_port()
    run = _make("mntcerts", port, tmp_path)

    def up() -> bool:
        try:
            return bool(_get(f"https://127.0.0.1:{port}/-/live", tls=trust)) or True
        except OSError:
            return run.poll() is not None

    try:
        until(up)
        assert _get(f"https://localhost:{port}/api/account", tls=trust)["name"] == "alice"
        assert engine("exec", f"hfproxy-test-{port}", "hfproxy", "health").returncode == 0
    finally:
        said = _end(run, port)
    assert run.returncode == 0, said


def test_make_mntcerts_without_a_certificate_says_how_to_make_one(image: str, tmp_path: Path) -> None:
    run = _make("mntcerts", free_port(), tmp_path, ENGINE=ENGINE)
    said, _ = run.communicate(timeout=300)
    assert run.returncode != 0
    assert "make certs" in said
