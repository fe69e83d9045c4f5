"""What a sandbox with a folder remembers, also when it is killed in the middle of writing."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from hfproxy.sandbox.server import SandboxConfig, running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType

from .conftest import ALICE, BOB, Call

SERVE = """
import asyncio, sys
from pathlib import Path
from hfproxy.sandbox.server import SandboxConfig, running_sandbox

async def main():
    async with running_sandbox(SandboxConfig(data=Path(sys.argv[1]))) as sandbox:
        print(sandbox.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_everything_is_there_after_a_restart(tmp_path: Path, call: Call) -> None:
    config = SandboxConfig(data=tmp_path)
    async with running_sandbox(config) as sandbox:
        await call("POST", f"{sandbox.url}/api/repos/create", ALICE, json={"name": "old", "private": True})
        repo = sandbox.hub.find(RepoType.MODEL, "alice/old")
        oid = sandbox.hub.objects.put(b"large")
        sandbox.hub.lfs_received(repo, oid, 5, by="alice")
        head = sandbox.hub.commit(repo, {"a.txt": b"a"}, "Add a", by="alice")
        moved = {"fromRepo": "alice/old", "toRepo": "acme/new", "type": "model"}
        await call("POST", f"{sandbox.url}/api/repos/move", ALICE, json=moved)
        body = {"title": "Mine", "namespace": "alice", "private": False}
        slug = (await call("POST", f"{sandbox.url}/api/collections", ALICE, json=body)).json["slug"]
        before = (await call("GET", f"{sandbox.url}/api/models/acme/new", ALICE)).json
    async with running_sandbox(config) as sandbox:
        assert (await call("GET", f"{sandbox.url}/api/models/acme/new", ALICE)).json == before
        assert before["sha"] == head
        assert (await call("GET", f"{sandbox.url}/api/models/alice/old", ALICE)).status == 307
        assert (await call("GET", f"{sandbox.url}/api/models/alice/old", None)).status == 401
        assert (await call("GET", f"{sandbox.url}/api/collections/{slug}", BOB)).json["title"] == "Mine"
        assert sandbox.hub.objects.size_bytes(oid) == 5
        await call("DELETE", f"{sandbox.url}/api/repos/delete", ALICE, json={"name": "new", "organization": "acme"})
    async with running_sandbox(config) as sandbox:
        assert (await call("GET", f"{sandbox.url}/api/models/acme/new", ALICE)).status == 404
        assert not sandbox.hub.objects.has(oid)


async def test_a_kill_in_the_middle_of_writes_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """Eight writers commit as fast as they can; after each of three kills every answered commit is on its branch."""
    answered: dict[str, list[str]] = {f"alice/r{number}": [] for number in range(8)}
    headers = {"Authorization": f"Bearer {ALICE}"}

    async def write(session: aiohttp.ClientSession, url: str, repo_id: str) -> None:
        name = repo_id.partition("/")[2]
        try:
            await session.post(f"{url}/api/repos/create", json={"name": name}, headers=headers)
            while True:
                lines = [
                    {"key": "header", "value": {"summary": f"{len(answered[repo_id])}"}},
                    {"key": "file", "value": {"path": f"d/{len(answered[repo_id])}", "content": repo_id}},
                ]
                body = "\n".join(map(json.dumps, lines))
                async with session.post(f"{url}/api/models/{repo_id}/commit/main", data=body, headers=headers) as made:
                    assert made.status == 200, await made.text()
                    answered[repo_id].append((await made.json())["commitOid"])
        except (aiohttp.ClientError, ConnectionError):
            return

    for round_number in (1, 2, 3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as session:
            writers = [asyncio.create_task(write(session, url, repo_id)) for repo_id in answered]
            while sum(map(len, answered.values())) < 40 * round_number:
                await asyncio.wait(writers, timeout=0.01)
                assert not all(writer.done() for writer in writers)
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
            await asyncio.gather(*writers)
        async with running_sandbox(SandboxConfig(data=tmp_path)) as sandbox:
            for repo_id, commits in answered.items():
                repo = sandbox.hub.find(RepoType.MODEL, repo_id)
                log = [change.commit_hash for change in repo.history.log(repo.commit_hash())]
                assert set(commits) <= set(log), f"{repo_id} lost a commit"
                for entry in repo.history.files(repo.commit_hash()):
                    repo.history.read(entry.oid)


async def test_a_folder_belongs_to_one_sandbox_at_a_time(tmp_path: Path) -> None:
    async with running_sandbox(SandboxConfig(data=tmp_path)):
        with pytest.raises(OSError, match="another sandbox has the folder"):
            async with running_sandbox(SandboxConfig(data=tmp_path)):
                pass


async def test_a_repository_whose_creation_was_cut_off_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "repos" / ("ab" * 12) / "git").mkdir(parents=True)
    async with running_sandbox(SandboxConfig(data=tmp_path)) as sandbox:
        assert list(sandbox.hub.repos) == []
        sandbox.hub.create_repo(RepoRef(RepoType.MODEL, "alice", "demo"), by="alice")
    assert len(list((tmp_path / "repos").iterdir())) == 1


async def test_without_a_folder_nothing_is_left_behind() -> None:
    async with running_sandbox(SandboxConfig()) as sandbox:
        sandbox.hub.objects.put(b"large")
        folder = sandbox.hub.objects.incoming().parent
        assert folder.is_dir()
    assert not folder.exists()
