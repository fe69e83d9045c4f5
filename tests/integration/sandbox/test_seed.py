"""`--seed demo`: the same Hub on every machine, ready at once."""

import time
from pathlib import Path

import pytest

from hfproxy.sandbox.seed.catalogue import CATALOGUE
from hfproxy.sandbox.server import SandboxConfig, running_sandbox

# Quoted in docs/sandbox.md.
ENCODER_HEAD = "9e17dc73071ba42b0b7c4c24d540fb98c27d61a1"


@pytest.fixture
def config() -> SandboxConfig:
    return SandboxConfig(seed="demo")


async def test_commit_hashes_are_the_same_on_every_machine(call):
    info = await call("GET", "/api/models/alice/tiny-sentence-encoder")
    assert info.json["sha"] == ENCODER_HEAD
    assert info.json["downloads"] == 48210 and info.json["likes"] == 187
    assert info.json["cardData"]["pipeline_tag"] == "sentence-similarity"


@pytest.mark.parametrize("planned", CATALOGUE, ids=lambda planned: str(planned.ref))
async def test_every_repository_is_there_for_its_owner(planned, sandbox):
    repo = sandbox.hub.find(planned.ref.repo_type, planned.ref.repo_id)
    paths = {entry.path for entry in repo.history.files(repo.commit_hash())}
    assert {"README.md", ".gitattributes"} < paths
    assert sandbox.hub.owner_of(repo)
    for oid, record in repo.record.lfs.items():
        assert sandbox.hub.objects.size_bytes(oid) == record.size_bytes


async def test_it_is_planted_once_and_kept_with_its_organisations(tmp_path: Path):
    kept, dropped = CATALOGUE[0].ref, CATALOGUE[1].ref
    async with running_sandbox(SandboxConfig(seed="demo", data=tmp_path)) as sandbox:
        sandbox.hub.delete_repo(sandbox.hub.find(dropped.repo_type, dropped.repo_id))
    for seed in ("demo", None):
        async with running_sandbox(SandboxConfig(seed=seed, data=tmp_path)) as sandbox:
            assert sandbox.hub.find(kept.repo_type, kept.repo_id).head == ENCODER_HEAD
            assert sandbox.hub.repos.find(dropped.repo_type, dropped.repo_id) is None
            assert sandbox.hub.accounts.named("tide-lab")


async def test_planting_takes_no_time_worth_mentioning():
    began_s = time.process_time()
    async with running_sandbox(SandboxConfig(seed="demo")):
        took_s = time.process_time() - began_s
    assert took_s < 2, "a fifth of a second on an idle machine; the tests' machine may be busy"
