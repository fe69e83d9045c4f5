"""`hfproxy cache warm` fetches a repository with all that clients will ask, and each byte once."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from hfproxy.features.stocking.warming import matches
from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import Sandbox, running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.support.command import hfproxy
from tests.support.gateway import gateway_for

ALICE = "hf_sandbox_alice"
FILES = {"a.json": b"{}", "sub/b c.json": b"[]", "weights.txt": os.urandom(2_000_000), "sub/deep/x.txt": b"x"}
REF = RepoRef.parse(RepoType.DATASET, "alice/cold")


async def warm(sandbox: Sandbox, root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    settings = {"HF_ENDPOINT": sandbox.url, "HF_TOKEN": ALICE, "HFPROXY_STORAGE__ROOT": str(root), **variables}
    return await asyncio.to_thread(
        lambda: hfproxy("cache", "warm", *arguments, cwd=root.parent, timeout_s=120, **settings)
    )


def fetched(sandbox: Sandbox) -> list[str]:
    """The paths of the bodies that were asked of the Hub."""
    return [asked.raw_path for asked in sandbox.asked if asked.method == "GET" and "/api/" not in asked.raw_path]


async def test_it_fetches_what_is_wanted_once_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async with running_sandbox(SandboxConfig()) as sandbox:
        sandbox.hub.create_repo(REF, by="alice", files=FILES)
        first = await warm(sandbox, tmp_path / "data", "alice/cold", "--type", "dataset", "--include", "*.json")
        assert (first.returncode, "2 files fetched, 0 were there" in first.stdout) == (0, True), first
        second = await warm(sandbox, tmp_path / "data", "datasets/Alice/cold@main", "--exclude", "sub/", "--pin")
        assert (second.returncode, "2 files fetched, 1 were there" in second.stdout) == (0, True), second
        before = len(fetched(sandbox))
        async with gateway_for(sandbox.url, tmp_path / "data", UPSTREAM__TOKEN=ALICE) as gateway:
            for path in ("a.json", "sub/b%20c.json", "weights.txt"):
                async with gateway.http.get(f"{gateway.url}/datasets/alice/cold/resolve/main/{path}") as answer:
                    assert answer.status == 200
                    assert await answer.read() in FILES.values()
        assert len(fetched(sandbox)) == before
    listed = hfproxy("cache", "list", cwd=tmp_path, HFPROXY_STORAGE__ROOT=str(tmp_path / "data"))
    assert "datasets/alice/cold" in listed.stdout
    assert "main" in listed.stdout


async def test_beside_a_running_gateway_on_the_same_storage_both_are_right(tmp_path: Path) -> None:
    async with running_sandbox(SandboxConfig()) as sandbox:
        sandbox.hub.create_repo(REF, by="alice", files=FILES)
        async with gateway_for(sandbox.url, tmp_path / "data", UPSTREAM__TOKEN=ALICE) as gateway:

            async def read(path: str) -> bytes:
                async with gateway.http.get(f"{gateway.url}/datasets/alice/cold/resolve/main/{path}") as answer:
                    return await answer.read()

            warming = asyncio.create_task(warm(sandbox, tmp_path / "data", "datasets/alice/cold"))
            while not warming.done():
                assert await read("weights.txt") == FILES["weights.txt"]
                assert await read("a.json") == FILES["a.json"]
                await asyncio.sleep(0)
            assert warming.result().returncode == 0, warming.result()
            before = len(fetched(sandbox))
            assert [await read(path.replace(" ", "%20")) for path in FILES] == list(FILES.values())
            assert len(fetched(sandbox)) == before


async def test_what_cannot_be_warmed_says_so(tmp_path: Path) -> None:
    async with running_sandbox(SandboxConfig()) as sandbox:
        sandbox.hub.create_repo(REF, by="alice", files=FILES)
        missing = await warm(sandbox, tmp_path / "data", "alice/nothing")
        assert (missing.returncode, "not found" in missing.stderr.lower()) == (1, True), missing
        revision = await warm(sandbox, tmp_path / "data", "datasets/alice/cold@nowhere")
        assert (revision.returncode, "Invalid rev id" in revision.stderr) == (1, True), revision
        full = await warm(sandbox, tmp_path / "data", "datasets/alice/cold", HFPROXY_STORAGE__MAX_SIZE="100KB")
        assert (full.returncode, "weights.txt" in full.stderr) == (1, True), full
        assert (await warm(sandbox, tmp_path / "data", "a/b", "--type", "planet")).returncode == 2


async def test_what_is_kept_outlives_a_warming_that_finds_no_hub(tmp_path: Path) -> None:
    async with running_sandbox(SandboxConfig()) as sandbox:
        sandbox.hub.create_repo(REF, by="alice", files=FILES)
        assert (await warm(sandbox, tmp_path / "data", "datasets/alice/cold")).returncode == 0
    away = await warm(sandbox, tmp_path / "data", "datasets/alice/cold")
    assert (away.returncode, "Traceback" in away.stderr) == (1, False), away
    settings = {"UPSTREAM__TOKEN": ALICE, "FILES__OFFLINE": "true"}
    async with gateway_for(sandbox.url, tmp_path / "data", **settings) as gateway:
        for path in ("datasets/alice/cold/resolve/main/a.json", "api/datasets/alice/cold/revision/main"):
            async with gateway.http.get(f"{gateway.url}/{path}") as answer:
                assert answer.status == 200
        async with gateway.http.get(f"{gateway.url}/datasets/alice/cold/resolve/main/other") as answer:
            assert (answer.status, answer.headers["X-Error-Code"]) == (504, "NotKept")


@pytest.mark.parametrize(
    ("path", "include", "exclude", "wanted"),
    [
        ("a.json", [], [], True),
        ("sub/a.json", ["*.json"], [], True),
        ("sub/a.json", ["sub/"], [], True),
        ("a.json", ["sub/"], [], False),
        ("a.JSON", ["*.json"], [], False),
        ("a.bin", ["a.*"], ["*.bin"], False),
    ],
)
def test_patterns_are_those_of_the_python_client(
    path: str, include: list[str], exclude: list[str], wanted: bool
) -> None:
    assert matches(path, include, exclude) is wanted
