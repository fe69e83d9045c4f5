"""Disks of a test's own: really small, or read-only. Only root may mount; others skip and say so."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """A disk of this size at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)):
        yield


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written below `folder`."""
    with _mounted(folder, "--bind", str(folder), str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield


def fill_up(folder: Path) -> Path:
    """A file that leaves no byte of its disk to others."""
    filler = folder / "filler"
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        for size_bytes in (64 * 1024, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(fd, b"x" * size_bytes)
    finally:
        os.close(fd)
    return filler


@contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"nothing may be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
