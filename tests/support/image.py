"""The image as an operator gets it: built by `make build`, run by an engine; skipped with a reason where there is none.

`make build` and the tests read ENGINE, BASE_IMAGE, NETWORK and CA_BUNDLE from the environment; `.ci/engine` sets them
on a machine that cannot pull images.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = os.environ.get("ENGINE", "docker")
IMAGE = "hfproxy-test"


def engine(*arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """The engine's finished command, whatever its exit code."""
    return subprocess.run([ENGINE, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False)


def built_image() -> str:
    """The name of the image, built once however many workers ask. Skips the test where no engine answers."""
    if shutil.which(ENGINE) is None:
        pytest.skip(f"there is no {ENGINE} here")
    try:
        asked = engine("info", timeout_s=20)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{ENGINE} does not answer")
    if asked.returncode != 0:
        pytest.skip(f"{ENGINE} cannot be used here: {asked.stderr.strip().splitlines()[-1:]}")
    with (Path(tempfile.gettempdir()) / "hfproxy-test-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(
            ["make", "build", f"IMAGE={IMAGE}"], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
        )
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    return IMAGE


@contextmanager
def container(image: str, *arguments: str, options: tuple[str, ...] = ()) -> Iterator[str]:
    """The name of a running container, on the host's network, with as few rights as can be; gone at the end."""
    name = f"hfproxy-test-{os.urandom(4).hex()}"
    started = engine(
        *("run", "--detach", "--name", name, "--network", "host", "--read-only", "--tmpfs", "/tmp"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", *options, image, *arguments),
    )
    try:
        assert started.returncode == 0, started.stderr
        yield name
    finally:
        engine("rm", "--force", "--volumes", name)
