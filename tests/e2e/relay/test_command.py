"""The newest `hf` command, as a person types it, in a network where the gateway is the only way out."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.e2e.relay.conftest import WALLED_IN
from tests.support.clients import Client, environment
from tests.support.gateway import Gateway

ODD = "déjà vu/50% #1?+.bin"
Hf = Callable[..., Awaitable[str]]


@pytest.fixture
def hf(newest_client: Client, gateway: Gateway, tmp_path: Path) -> Hf:
    """Runs `hf`, which must end with `code`; what it said. changed: variables of its environment."""
    env = environment(gateway.url, tmp_path, "hf_sandbox_alice") | WALLED_IN

    async def run(*arguments: str | Path, code: int = 0, **changed: str) -> str:
        finished = await newest_client.run(newest_client.hf, *arguments, env=env | changed)
        assert finished.code == code, f"hf {' '.join(map(str, arguments))}: {finished}"
        return finished.out + finished.err

    return run


async def test_repositories_are_made_listed_changed_and_deleted(hf: Hf, gateway: Gateway, tmp_path: Path) -> None:
    assert "user: alice" in await hf("auth", "whoami")
    assert "invalid" in await hf("auth", "whoami", HF_TOKEN="hf_nobody", code=1)
    assert f"url: {gateway.url}/alice/demo" in await hf("repos", "create", "demo", "--private")
    assert "alice/demo" in await hf("models", "ls", "--author", "alice", "--format", "json")
    (tmp_path / "more.txt").write_text("more")
    said = await hf("upload", "alice/demo", tmp_path / "more.txt", "more.txt", "--create-pr")
    assert f"url: {gateway.url}/alice/demo/commit/" in said
    await hf("discussions", "merge", "alice/demo", "1", "--yes")
    assert '"more.txt"' in await hf("models", "info", "alice/demo")
    await hf("repos", "delete", "alice/demo", "--yes")
    assert "alice/demo" not in await hf("models", "ls", "--author", "alice", "--format", "json")


async def test_files_go_up_and_down_and_into_the_cache(hf: Hf, gateway: Gateway, tmp_path: Path) -> None:
    folder, large = tmp_path / "folder", os.urandom(12 * 2**20)
    (folder / ODD).parent.mkdir(parents=True)
    (folder / ODD).write_bytes(large)
    (folder / "card.md").write_text("# Demo\n")
    assert f"url: {gateway.url}/alice/files/commit/" in await hf("upload", "alice/files", folder, ".", "--private")
    await hf("download", "alice/files")
    assert "alice/files" in await hf("cache", "ls")
    assert "checked: 3" in await hf("cache", "verify", "alice/files")
    await hf("download", "alice/files", ODD, "--local-dir", tmp_path / "back")
    assert (tmp_path / "back" / ODD).read_bytes() == large
    await hf("cp", "hf://alice/files/card.md", tmp_path / "copied.md")
    assert (tmp_path / "copied.md").read_text() == "# Demo\n"
    bob = {"HF_TOKEN": "hf_sandbox_bob", "HF_HOME": str(tmp_path / "bob")}
    assert "not found" in (await hf("download", "alice/files", code=1, **bob)).lower()
