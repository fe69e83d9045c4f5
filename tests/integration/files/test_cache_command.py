"""`hfproxy cache` tells what is kept and looks after it."""

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import select

from hfproxy.storage.blob_tables import BLOBS
from hfproxy.storage.opening import open_database
from tests.support.buckets import bucket_variables
from tests.support.command import hfproxy
from tests.support.file_hub import FileHub
from tests.support.gateway import gateway_for
from tests.support.s3_servers import S3Server
from tests.support.serving import serving
from tests.support.waiting import eventually


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
        await eventually((tmp_path / "blobs/complete/sha256" / key.digest[:2] / key.digest[2:4] / key.digest).exists)
    return tmp_path


async def test_what_is_kept_is_counted_listed_and_shown(root: Path) -> None:
    assert json.loads(run("cache", "stats", "--json", root=root).stdout) == {
        "complete": 2,
        "complete_bytes": len(CONFIG) + len(WEIGHTS),
        "partial": 0,
        "partial_bytes": 0,
    }
    assert json.loads(run("cache", "list", "--json", root=root).stdout) == [
        {"repo": "acme/demo", "files": 2, "bytes": len(CONFIG) + len(WEIGHTS), "pinned": []}
    ]
    shown = json.loads(run("cache", "show", "Acme/Demo", "--json", root=root).stdout)
    assert [(file["path"], file["kept"]) for file in shown] == [("config.json", "whole"), ("w.bin", "whole")]


async def test_a_damaged_file_is_found_and_goes_and_is_repaired(hub: FileHub, root: Path) -> None:
    assert run("cache", "verify", root=root).returncode == 0
    [file] = [file for file in (root / "blobs/complete/sha256").rglob("*") if file.is_file()]

    def damage() -> None:
        with file.open("r+b") as damaged:
            damaged.seek(1_500_000)
            damaged.write(b"?" if WEIGHTS[1_500_000:1_500_001] != b"?" else b"!")

    damage()
    done = run("cache", "verify", root=root)
    assert (done.returncode, file.name in done.stderr) == (1, True)
    assert not file.exists()
    file.write_bytes(WEIGHTS)
    damage()
    repaired = await asyncio.to_thread(repair, root, HF_ENDPOINT=hub.url)
    assert repaired.returncode == 0, repaired
    assert json.loads(repaired.stdout) == {"wrong": [f"sha256-{file.name}"], "repaired": 1, "problems": []}
    assert file.read_bytes() == WEIGHTS
    damage()
    in_vain = await asyncio.to_thread(repair, root, HF_ENDPOINT="http://127.0.0.1:9")
    assert (in_vain.returncode, file.name in in_vain.stderr, file.exists()) == (1, True, False), in_vain


def repair(root: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return hfproxy("cache", "verify", "--repair", "--json", cwd=root, HFPROXY_STORAGE__ROOT=str(root), **variables)


async def test_a_file_that_was_cut_short_is_fetched_again_when_it_is_wanted(hub: FileHub, root: Path) -> None:
    [file] = [file for file in (root / "blobs/complete/sha256").rglob("*") if file.is_file()]
    os.truncate(file, 2_000_000)
    async with (
        gateway_for(hub.url, root) as gateway,
        gateway.http.get(f"{gateway.url}/acme/demo/resolve/main/w.bin") as answer,
    ):
        assert await answer.read() == WEIGHTS


async def test_damage_in_a_bucket_is_found_and_repaired(hub: FileHub, rclone_server: S3Server, tmp_path: Path) -> None:
    hub.add("w.bin", WEIGHTS)
    variables = bucket_variables(rclone_server)
    settings = {name.removeprefix("HFPROXY_"): value for name, value in variables.items()}
    bucket = rclone_server.store(variables["HFPROXY_STORAGE__BLOBS"].split("/")[2])

    async def served() -> bool:
        async with gateway_for(hub.url, tmp_path, **settings) as gateway:
            async with gateway.http.get(f"{gateway.url}/acme/demo/resolve/main/w.bin") as answer:
                right = await answer.read() == WEIGHTS
            async with open_database(tmp_path) as database:
                whole = select(BLOBS.c.blob).where(BLOBS.c.complete)
                # It is read to its end before it is noted as kept.
                await eventually(lambda: database.read(lambda connection: connection.execute(whole).all()))
            return right

    def objects() -> set[str]:
        return {each["path"] for page in bucket.list() for each in page}

    assert await served()
    passed: set[str] = set()  # what was deleted stays for an hour
    for damage in (lambda name: bucket.put(name, bytes(1024**2)), bucket.delete):
        damage(min(objects() - passed))
        passed |= objects()
        before = hub.count("GET")
        repaired = await asyncio.to_thread(repair, tmp_path, HF_ENDPOINT=hub.url, **variables)
        assert (repaired.returncode, '"repaired": 1' in repaired.stdout) == (0, True), repaired
        after = hub.count("GET")
        assert after > before
        assert await served()
        assert hub.count("GET") == after


async def test_pruning_takes_the_least_recently_used(root: Path) -> None:
    assert run("cache", "prune", root=root).returncode == 2
    assert run("cache", "prune", "--to", "1", "--unused-for", "soon", root=root).returncode == 2
    [large] = [file for file in (root / "blobs/complete/sha256").rglob("*") if file.is_file()]
    os.utime(large, (0, 0))
    assert "1 files would go" in run("cache", "prune", "--to", "1MB", "--dry-run", root=root).stdout
    assert large.exists()
    pruned = run("cache", "prune", "--to", "1MB", "--json", root=root)
    assert json.loads(pruned.stdout) == {"files": 1, "bytes": len(WEIGHTS), "dry_run": False}
    assert not large.exists()


async def test_what_is_pinned_is_not_pruned_until_it_is_unpinned(root: Path) -> None:
    assert run("cache", "unpin", "acme/demo", root=root).returncode == 1
    assert run("cache", "pin", "acme/../demo", root=root).returncode == 2
    assert run("cache", "pin", "Acme/Demo@main", root=root).returncode == 0
    assert run("cache", "pin", "datasets/acme/later", root=root).returncode == 0
    listed = json.loads(run("cache", "list", "--json", root=root).stdout)
    assert [(each["repo"], each["files"], each["pinned"]) for each in listed] == [
        ("acme/demo", 2, ["main"]),
        ("datasets/acme/later", 0, [""]),
    ]
    assert "0 files are gone" in run("cache", "prune", "--to", "0", root=root).stdout
    assert run("cache", "unpin", "acme/demo@main", root=root).returncode == 0
    assert "2 files are gone" in run("cache", "prune", "--to", "0", root=root).stdout


def test_a_database_that_fails_in_the_middle_ends_a_command_with_one_line(tmp_path: Path) -> None:
    assert run("cache", "list", root=tmp_path).returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "hfproxy.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE kept_pins")
    done = run("cache", "pin", "acme/demo", root=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "the gateway's database cannot be used" in done.stderr


async def test_a_running_gateway_evicts_around_what_is_pinned_meanwhile(hub: FileHub, tmp_path: Path) -> None:
    pinned, other, last = (os.urandom(1024**2) for _ in range(3))
    keys = [
        hub.add("w.bin", pinned, repo="acme/pinned"),
        hub.add("w.bin", other, repo="acme/other"),
        hub.add("w.bin", last, repo="acme/last"),
    ]
    places = [tmp_path / "kept/blobs/complete/sha256" / key.digest[:2] / key.digest[2:4] / key.digest for key in keys]
    settings = {"HFPROXY_STORAGE__MAX_SIZE": "2500000", "HFPROXY_STORAGE__FREE_FLOOR": "0", "HF_ENDPOINT": hub.url}
    async with serving(tmp_path, **settings) as gateway, aiohttp.ClientSession() as http:

        async def fetch(repo: str, place: Path) -> None:
            async with http.get(f"{gateway.url}/acme/{repo}/resolve/main/w.bin") as answer:
                assert len(await answer.read()) == 1024**2
            await eventually(place.exists)

        def pinned_blobs() -> list[int]:
            return [event["blobs"] for event in gateway.events() if event["event"] == "pins.changed"]

        await fetch("pinned", places[0])
        await fetch("other", places[1])
        done = await asyncio.to_thread(run, "cache", "pin", "acme/pinned", root=tmp_path / "kept")
        assert done.returncode == 0, done.stderr
        await eventually(lambda: pinned_blobs() == [1])
        await fetch("last", places[2])
        await eventually(lambda: not places[1].exists())
        assert places[0].exists()
