"""What one machine downloaded, everybody downloads from a gateway without a Hub: by every generation of the client."""

import asyncio
import hashlib
from pathlib import Path

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.e2e.cache.test_offline import digests
from tests.support.clients import Client
from tests.support.command import hfproxy
from tests.support.gateway import gateway_for
from tests.support.xet import add

TOKEN = "hf_sandbox_alice"
WEIGHTS = bytes(range(256)) * 8192
FILES = {"config.json": b"{}", "onnx/a b+c%20.bin": b"\0" * 3000, "empty.txt": b""}
SNAPSHOT = """
import sys
from huggingface_hub import hf_hub_download, snapshot_download
print(snapshot_download("acme/warm"), hf_hub_download("acme/warm", "config.json"), sep="\\n")
"""


async def test_what_a_client_downloaded_is_downloaded_offline(client: Client, tmp_path: Path) -> None:
    wanted = {path: hashlib.sha256(content).hexdigest() for path, content in (FILES | {"w.bin": WEIGHTS}).items()}
    async with running_sandbox(SandboxConfig()) as sandbox:
        for name in ("warm", "other"):
            ref = RepoRef.parse(RepoType.MODEL, f"acme/{name}")
            repo = sandbox.hub.create_repo(ref, by="alice", files=FILES, visibility="private")
            add(sandbox, repo, {"w.bin": WEIGHTS})
            script = SNAPSHOT.replace("warm", name)
            env = {"HF_ENDPOINT": sandbox.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
            env["HF_HOME"] = str(tmp_path / "first")
            done = await client.run(client.python, "-c", script, env=env)
            assert done.code == 0, done
    root = tmp_path / "data"
    done = await asyncio.to_thread(
        hfproxy,
        *("cache", "import", str(tmp_path / "first"), "--names", "--only", "acme/warm"),
        cwd=tmp_path,
        HFPROXY_STORAGE__ROOT=str(root),
    )
    assert (done.returncode, "acme/other" in done.stdout) == (0, False), done
    # Only reserved names lead nowhere for sure (RFC 6761).
    async with gateway_for("http://hub.invalid", root, UPSTREAM__TOKEN="", FILES__OFFLINE="true") as gateway:
        env = {"HF_ENDPOINT": gateway.url, "HF_HOME": str(tmp_path / "again"), "HF_HUB_DISABLE_XET": "1"}
        again = await client.run(client.python, "-c", SNAPSHOT, env=env)
        assert again.code == 0, again
        folder, config = again.out.splitlines()
        assert wanted.items() <= digests(Path(folder)).items()
        assert Path(config).read_bytes() == FILES["config.json"]
        # Nobody can check their token here; and what was not named is nobody's.
        for path, token in (("acme/warm", TOKEN), ("acme/other", "")):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            url = f"{gateway.url}/{path}/resolve/main/config.json"
            async with gateway.http.get(url, headers=headers) as answer:
                assert answer.status >= 400
                assert await answer.read() != FILES["config.json"]
