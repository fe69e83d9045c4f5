"""git-lfs sends what is too large for one piece with the agent that `huggingface_hub` brings, through the gateway."""

import os
from pathlib import Path

import aiohttp
import pytest

from hfproxy.sandbox.server import Sandbox
from tests.support.clients import LAST_0, NEWEST, client, environment
from tests.support.gateway import Gateway
from tests.support.git import git_at, needs_git_lfs, with_token

from .conftest import PREFIX, WALLED_IN

pytestmark = needs_git_lfs
ALICE = "hf_sandbox_alice"


@pytest.mark.parametrize(("version", "command"), [(LAST_0, "huggingface-cli"), (NEWEST, "hf")])
async def test_a_push_of_large_and_small_files_is_refused_until_its_clone_knows_parts(
    version: str, command: str, sandbox: Sandbox, gateway: Gateway, tmp_path: Path
) -> None:
    url = f"{gateway.url}{PREFIX}"
    headers, body = {"Authorization": f"Bearer {ALICE}"}, {"name": "demo", "lfsmultipartthresh": 6_000_000}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(f"{url}/api/repos/create", json=body) as made:
        assert made.status == 200
    git, hub = await git_at(tmp_path / "home"), client(version)
    env = {
        **environment(url, tmp_path / "home", ALICE),
        **WALLED_IN,
        "PATH": f"{hub.home / 'bin'}:{os.environ['PATH']}",
    }
    await git.ok("clone", with_token(f"{url}/alice/demo", ALICE), "clone", **env)
    clone, files = git.home / "clone", {"large.bin": os.urandom(12_000_000), "small.bin": os.urandom(2000)}
    for name, content in files.items():
        (clone / name).write_bytes(content)
    await git.ok("add", ".", folder=clone)
    await git.ok("commit", "-m", "Add weights", folder=clone)

    refused = await git("push", folder=clone, **env)
    assert refused.code != 0 and "cli lfs-enable-largefiles" in refused.err

    enabled = await hub.run(hub.home / "bin" / command, "lfs-enable-largefiles", clone, env=env)
    assert enabled.code == 0, str(enabled)
    await git.ok("push", folder=clone, **env)
    await git.ok("clone", with_token(f"{url}/alice/demo", ALICE), "again", **env)
    assert {name: (git.home / "again" / name).read_bytes() for name in files} == files
    asked = list(sandbox.asked)
    parts = [each for each in asked if each.origin == "cdn" and each.method == "PUT"]
    assert len(parts) == 4, "three of the large file, one of the small"
    assert not any("Authorization" in part.headers for part in parts)
    assert sum(each.raw_path == "/api/complete_multipart" for each in asked) == 2
