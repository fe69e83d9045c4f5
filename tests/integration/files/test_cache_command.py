"""`hfproxy cache` tells what is kept and looks after it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.files.conftest import until
from tests.support.command import hfproxy
from tests.support.file_hub import FileHub
from tests.support.gateway import gateway_for


def run(*arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    return hfproxy(*arguments, cwd=root, HFPROXY_STORAGE__ROOT=str(root))


CONFIG, WEIGHTS = b"{}", os.urandom(3 * 1024**2)


@pytest.fixture
async def root(hub: FileHub, tmp_path: Path) -> Path:
    """A folder with two kept files of one repository."""
    hub.add("config.json", CONFIG, lfs=False)
    key = hub.add("w.bin", WEIGHTS)
    async with gateway_for(hub.url, tmp_path) as gateway:
        for path in ("config.json", "w.bin"):
            async with gateway.http.get(f"{gateway.url}/acme/demo/resolve/main/{path}") as answer:
                assert len(await answer.read()) > 0
        await until((tmp_path / "blobs/complete/sha256" / key.digest[:2] / key.digest[2:4] / key.digest).exists)
    return tmp_path


async def test_what_is_kept_is_counted_listed_and_shown(root: Path) -> None:
    assert json.loads(run("cache", "stats", "--json", root=root).stdout) == {
        "complete": 2,
        "complete_bytes": len(CONFIG) + len(WEIGHTS),
        "partial": 0,
        "partial_bytes": 0,
    }
    assert json.loads(run("cache", "list", "--json", root=root).stdout) == [
        {"repo": "acme/demo", "files": 2, "bytes": len(CONFIG) + len(WEIGHTS)}
    ]
    shown = json.loads(run("cache", "show", "Acme/Demo", "--json", root=root).stdout)
    assert [(file["path"], file["kept"]) for file in shown] == [("config.json", "whole"), ("w.bin", "whole")]


async def test_a_damaged_file_is_found_and_goes(root: Path) -> None:
    assert run("cache", "verify", root=root).returncode == 0
    [file] = [file for file in (root / "blobs/complete/sha256").rglob("*") if file.is_file()]
    with file.open("r+b") as damaged:
        damaged.seek(1_500_000)
        damaged.write(b"?" if WEIGHTS[1_500_000:1_500_001] != b"?" else b"!")
    done = run("cache", "verify", root=root)
    assert (done.returncode, file.name in done.stderr) == (1, True)
    assert not file.exists()


async def test_pruning_takes_the_least_recently_used(root: Path) -> None:
    assert run("cache", "prune", root=root).returncode == 2
    [large] = [file for file in (root / "blobs/complete/sha256").rglob("*") if file.is_file()]
    os.utime(large, (0, 0))
    assert "1 files would go" in run("cache", "prune", "--to", "1MB", "--dry-run", root=root).stdout
    assert large.exists()
    assert "1 files are gone" in run("cache", "prune", "--to", "1MB", root=root).stdout
    assert not large.exists()
