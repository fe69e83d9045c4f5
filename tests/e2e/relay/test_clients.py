"""Every generation of the real client works through the gateway, in a network where it is the only way out."""

from pathlib import Path

import pytest

from hfproxy.sandbox.pointers import Pointer
from hfproxy.sandbox.server import SandboxConfig, running_sandbox
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.e2e.relay.conftest import GATE, PREFIX, WALLED_IN
from tests.e2e.sandbox.scenarios.names import NAMES
from tests.support.clients import WITHOUT_XET, Client, environment
from tests.support.clients import client as built_client
from tests.support.gateway import Gateway, gateway_for

SCENARIOS = Path(__file__).parent / "scenarios"
SANDBOX_SCENARIOS = Path(__file__).parents[1] / "sandbox" / "scenarios"
TRANSFERS = ["uploads", "downloads", "pull_requests", "file_system", "rights", "renamed"]


@pytest.mark.parametrize("scenario", ["repositories", "content", "discussions", "services"])
async def test_a_client_finds_everything_as_on_the_hub(
    client: Client, gateway: Gateway, tmp_path: Path, scenario: str
) -> None:
    env = environment(gateway.url, tmp_path) | WALLED_IN
    finished = await client.run(client.python, SANDBOX_SCENARIOS / f"{scenario}.py", env=env)
    assert finished.code == 0, str(finished)
    assert finished.out.splitlines() == [f"passed {name}" for name in NAMES[scenario]]


async def test_files_go_up_and_down(client: Client, gateway: Gateway, tmp_path: Path) -> None:
    await _transfer(client, gateway.url, tmp_path)


async def test_files_go_up_and_down_where_hf_xet_is_not_installed(gateway: Gateway, tmp_path: Path) -> None:
    client = built_client(WITHOUT_XET)
    assert not list(client.home.rglob("hf_xet*"))
    await _transfer(client, gateway.url, tmp_path)


async def test_files_go_up_and_down_under_a_path_prefix(
    newest_client: Client, gateway: Gateway, tmp_path: Path
) -> None:
    """Of the older generations 0.x cannot create repositories under a prefix, wherever it is: it reads its last part
    as a repository type (`hf_api.py`, `repo_type_and_id_from_hf_id`)."""
    await _transfer(newest_client, f"{gateway.url}{PREFIX}", tmp_path)


async def test_files_go_up_and_down_through_one_gateway_behind_another(
    newest_client: Client, gateway: Gateway, tmp_path: Path
) -> None:
    site = {"UPSTREAM__TOKEN": "", "SERVER__HOST": GATE}
    async with gateway_for(f"{gateway.url}{PREFIX}", tmp_path / "site", **site) as nearest:
        await _transfer(newest_client, nearest.url, tmp_path)


@pytest.mark.parametrize("prefix", ["", PREFIX])
async def test_a_listing_is_read_over_all_its_pages(newest_client: Client, prefix: str, tmp_path: Path) -> None:
    async with (
        running_sandbox(SandboxConfig(page_size=2)) as sandbox,
        gateway_for(sandbox.url, tmp_path / "data", SERVER__HOST=GATE, SERVER__PATH_PREFIX=PREFIX) as gateway,
    ):
        env = environment(gateway.url + prefix, tmp_path, "hf_sandbox_alice") | WALLED_IN
        finished = await newest_client.run(newest_client.python, SANDBOX_SCENARIOS / "pages.py", env=env)
        assert finished.code == 0, str(finished)


async def _transfer(client: Client, endpoint: str, folder: Path) -> None:
    script = f"cd {folder} && exec {client.python} {SCENARIOS / 'transfers.py'} {12 * 2**20}"
    finished = await client.run("sh", "-c", script, env=environment(endpoint, folder, "hf_sandbox_alice") | WALLED_IN)
    assert finished.code == 0, str(finished)
    assert finished.out.splitlines() == [f"passed {name}" for name in TRANSFERS]


async def test_a_client_with_xet_downloads_over_http_and_uploads_through_the_gateway(
    client: Client, tmp_path: Path
) -> None:
    size = 300_000
    async with (
        running_sandbox(SandboxConfig(xet=True)) as sandbox,
        gateway_for(sandbox.url, tmp_path / "data", UPSTREAM__TOKEN="", SERVER__HOST=GATE, XET__MODE="http") as gateway,
    ):
        hub = sandbox.hub
        repo = hub.create_repo(RepoRef.parse(RepoType.MODEL, "alice/large"), by="alice")
        oid = hub.objects.put(b"x" * size)
        hub.lfs_received(repo, oid, size, by="alice")
        hub.commit(repo, {"big.bin": bytes(Pointer(oid, size))}, "Add", by="alice")
        env = environment(gateway.url, tmp_path, "hf_sandbox_alice") | WALLED_IN
        del env["HF_HUB_DISABLE_XET"]
        script = f"cd {tmp_path} && exec {client.python} {SCENARIOS / 'with_xet.py'} {size}"
        finished = await client.run("sh", "-c", script, env=env)
    assert finished.code == 0, str(finished)
    assert finished.out.splitlines() == ["passed downloads", "passed upload"]
    assert not [each for each in sandbox.asked if each.origin == "cas" and "reconstructions" in each.raw_path]
