"""Every generation of the client downloads a warmed repository while the Hub is away."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.support.clients import Client
from tests.support.command import hfproxy
from tests.support.gateway import gateway_for

TOKEN = "hf_sandbox_alice"
WEIGHTS = bytes(range(256)) * 8192
FILES = {"config.json": b"{}", "weights.safetensors": WEIGHTS, "onnx/a b+c%20.bin": b"\0" * 3000, "empty.txt": b""}
SNAPSHOT = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download("acme/warm", revision=sys.argv[1] if len(sys.argv) > 1 else None))
"""


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


async def test_what_was_warmed_is_downloaded_offline_here_and_elsewhere(client: Client, tmp_path: Path) -> None:
    wanted = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    async with running_sandbox(SandboxConfig()) as sandbox:
        ref = RepoRef.parse(RepoType.MODEL, "acme/warm")
        sandbox.hub.create_repo(ref, by="alice", files=FILES, visibility="private")
        settings = {"HF_ENDPOINT": sandbox.url, "HF_TOKEN": TOKEN, "HFPROXY_STORAGE__ROOT": str(tmp_path / "data")}
        done = await asyncio.to_thread(hfproxy, "cache", "warm", "acme/warm", cwd=tmp_path, timeout_s=120, **settings)
        assert done.returncode == 0, done
        upstream = sandbox.url
    bundle, there = tmp_path / "warm.tar", tmp_path / "there"
    for command, root in (("export", tmp_path / "data"), ("import", there)):
        words = ["acme/warm", "-o"] if command == "export" else []
        settings = {"HF_TOKEN": TOKEN if command == "export" else "", "HFPROXY_STORAGE__ROOT": str(root)}
        done = await asyncio.to_thread(hfproxy, "cache", command, *words, str(bundle), cwd=tmp_path, **settings)
        assert done.returncode == 0, done
    for root, token in ((tmp_path / "data", TOKEN), (there, "")):
        await assert_downloads(client, upstream, root, token, wanted, tmp_path / f"home-{root.name}")


async def assert_downloads(
    client: Client, upstream: str, root: Path, token: str, wanted: dict[str, str], home: Path
) -> None:
    """An offline gateway on this storage gives the client the whole repository."""
    async with gateway_for(upstream, root, UPSTREAM__TOKEN=token, FILES__OFFLINE="true") as gateway:
        env = {"HF_ENDPOINT": gateway.url, "HF_HUB_DISABLE_XET": "1"}
        for number, revision in enumerate(((), ("main",))):
            env["HF_HOME"] = str(home / f"again-{number}")
            done = await client.run(client.python, "-c", SNAPSHOT, *revision, env=env)
            assert done.code == 0, done
            assert wanted.items() <= digests(Path(done.out.strip())).items()


@pytest.mark.parametrize("offline", ["false", "true"])
async def test_a_warmed_repository_is_downloaded_while_the_hub_is_away(
    client: Client, tmp_path: Path, offline: str
) -> None:
    wanted = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    async with running_sandbox(SandboxConfig()) as sandbox:
        sandbox.hub.create_repo(RepoRef.parse(RepoType.MODEL, "acme/warm"), by="alice", files=FILES)
        async with gateway_for(sandbox.hub.url, tmp_path / "data", UPSTREAM__TOKEN=TOKEN) as gateway:
            env = {"HF_ENDPOINT": gateway.url, "HF_HOME": str(tmp_path / "first"), "HF_HUB_DISABLE_XET": "1"}
            done = await client.run(client.python, "-c", SNAPSHOT, env=env)
            assert done.code == 0, done
            assert wanted.items() <= digests(Path(done.out.strip())).items()
        upstream = sandbox.hub.url
    async with gateway_for(
        upstream, tmp_path / "data", UPSTREAM__TOKEN=TOKEN, FILES__OFFLINE=offline, FILES__FRESH_FOR="0s"
    ) as gateway:
        env["HF_ENDPOINT"] = gateway.url
        for number, revision in enumerate(((), ("main",))):
            env["HF_HOME"] = str(tmp_path / f"again-{number}")
            done = await client.run(client.python, "-c", SNAPSHOT, *revision, env=env)
            assert done.code == 0, done
            assert wanted.items() <= digests(Path(done.out.strip())).items()
