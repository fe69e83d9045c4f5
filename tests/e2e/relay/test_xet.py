"""The real hf_xet, up and down through the gateway, in a network where nothing else can be reached."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from hfproxy.sandbox.server import SandboxConfig, running_sandbox
from hfproxy.sandbox.trouble import Trouble
from tests.support.clients import LAST_1, NEWEST, Client, Finished, environment
from tests.support.clients import client as built_client
from tests.support.gateway import gateway_for
from tests.support.namespaces import Walled, missing, walled_in
from tests.support.serving import serving
from tests.support.waiting import eventually, free_port
from tests.support.xet import plant

SCRIPT = Path(__file__).parents[1] / "sandbox" / "scenarios" / "by_xet.py"
ALICE, BOB = "hf_sandbox_alice", "hf_sandbox_bob"
MIB = 1024 * 1024
OPEN = {"UPSTREAM__TOKEN": "", "ACCESS__ANONYMOUS": "reader", "XET__MODE": "relay"}
QUICK = {"HF_XET_CLIENT_RETRY_BASE_DELAY": "50ms"}

Run = Callable[..., Awaitable[Finished]]


@pytest.fixture
def network() -> Iterator[Walled]:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    with walled_in() as network:
        yield network


def running(client: Client, network: Walled, endpoint: str, folder: Path) -> Run:
    """Runs the script behind the wall, in a home of its own: a home remembers which chunks are there."""

    async def run(*arguments: str | Path, home: str, token: str = ALICE, **more: str) -> Finished:
        env = environment(endpoint, folder / home, token) | QUICK | more
        del env["HF_HUB_DISABLE_XET"]
        return await client.run(*network.prefix, client.python, SCRIPT, *arguments, env=env)

    return run


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


async def test_what_goes_up_comes_down_once_and_its_next_version_costs_what_is_new(
    client: Client, network: Walled, tmp_path: Path
) -> None:
    prefix = "/team/hub" if client.version.startswith("2.") else ""
    async with (
        running_sandbox(SandboxConfig()) as sandbox,
        gateway_for(
            sandbox.url, tmp_path / "data", SERVER__HOST=network.address, SERVER__PATH_PREFIX=prefix, **OPEN
        ) as gateway,
    ):
        run = running(client, network, gateway.url + prefix, tmp_path)
        traffic = sandbox.hub.cas.traffic
        # Half of it is zeros that are packed, the other half random.
        first = Random(1).randbytes(5 * MIB) + bytes(MIB)
        second = first[: 2 * MIB] + Random(2).randbytes(len(first) // 10) + first[2 * MIB + len(first) // 10 :]
        # What is kept costs nothing; that is asked of the second version, which is of the first's chunks.
        for version, content, most, homes in (
            ("first", first, 1.01, ["one"]),
            ("second", second, 0.15, ["one", "two"]),
        ):
            traffic.clear()
            up = await run("up", "alice/demo", written(tmp_path, "up.bin", content), "w.bin", home="up")
            assert up.code == 0, str(up)
            assert traffic.bytes_in <= most * len(first), version
            for home, allowed in zip(homes, (most * len(first), 0), strict=False):
                traffic.clear()
                down = await run("down", "alice/demo", "w.bin", tmp_path / "down.bin", home=f"{version} {home}")
                assert down.code == 0, str(down)
                assert (tmp_path / "down.bin").read_bytes() == content
                assert traffic.bytes_out <= allowed, (version, home)
    cas = [each for each in sandbox.asked if each.origin == "cas"]
    assert cas
    assert not [each for each in cas if not each.headers["Authorization"].startswith("Bearer xet_")]
    assert not [each for each in sandbox.asked if each.origin == "cdn" and "Authorization" in each.headers]


@pytest.mark.parametrize("version", [NEWEST, LAST_1])
async def test_a_transfer_outlives_its_tokens_its_addresses_and_a_store_that_breaks_off_or_lies(
    version: str, network: Walled, tmp_path: Path
) -> None:
    """Tokens that are good for less than hf_xet keeps in hand are asked for again with every call."""
    async with (
        running_sandbox(SandboxConfig(xet_tokens_last_s=29)) as sandbox,
        gateway_for(sandbox.url, tmp_path / "data", SERVER__HOST=network.address, **OPEN) as gateway,
    ):
        run = running(built_client(version), network, gateway.url, tmp_path)
        content = Random(3).randbytes(3 * MIB)
        # Each meets a request of its own. What broke off at 1 MiB comes again from its beginning, wrong beyond that.
        ordered = [
            *("origin=cdn,method=PUT,cut=headers,reset=true", "origin=cdn,method=PUT,status=503,skip=1"),
            "origin=cas,method=POST,path=/*/shards,status=503",
            *(
                f"origin=cdn,method=GET,path=/xorb/*,{trouble},skip={number}"
                for number, trouble in enumerate(("status=403", "cut=1MiB", "corrupt=1500kB", "body=html"))
            ),
        ]
        troubles = [sandbox.hub.troubles.add(Trouble.parse(f"{trouble},times=1")) for trouble in ordered]
        up = await run("up", "alice/demo", written(tmp_path, "up.bin", content), "w.bin", home="up")
        assert up.code == 0, str(up)
        down = await run("down", "alice/demo", "w.bin", tmp_path / "down.bin", home="down")
        assert down.code == 0, str(down)
        assert (tmp_path / "down.bin").read_bytes() == content
        for kind in ("write", "read"):
            assert len([each for each in sandbox.asked if f"/xet-{kind}-token/" in each.raw_path]) > 1, kind
        assert [each.trouble for each in troubles if each.struck != 1] == []


@pytest.mark.parametrize("version", [NEWEST, LAST_1])
async def test_of_two_callers_with_the_same_chunks_each_gets_what_they_may_read(
    version: str, network: Walled, tmp_path: Path
) -> None:
    secret = Random(4).randbytes(MIB)
    async with (
        running_sandbox(SandboxConfig()) as sandbox,
        gateway_for(sandbox.url, tmp_path / "data", SERVER__HOST=network.address, **OPEN) as gateway,
    ):
        plant(sandbox, "alice/secret", {"w.bin": secret}, visibility="private")
        plant(sandbox, "bob/copy", {"w.bin": secret}, by="bob", visibility="private")
        run, down, traffic = (
            running(built_client(version), network, gateway.url, tmp_path),
            tmp_path / "down.bin",
            sandbox.hub.cas.traffic,
        )
        hers = await run("down", "alice/secret", "w.bin", down, home="alice")
        assert (hers.code, down.read_bytes()) == (0, secret), str(hers)
        down.unlink()
        not_his = await run("down", "alice/secret", "w.bin", down, home="bob", token=BOB)
        assert not_his.code != 0 and "Repository Not Found" in not_his.err, str(not_his)
        assert not down.exists() and not [*(tmp_path / "bob").rglob("w.bin")]
        traffic.clear()
        his = await run("down", "bob/copy", "w.bin", down, home="bob", token=BOB)
        assert (his.code, down.read_bytes()) == (0, secret), str(his)
        assert traffic.bytes_out == 0 and traffic.requests["xorb"] == 0


async def test_a_gateway_that_is_killed_in_the_middle_keeps_nothing_wrong(
    newest_client: Client, network: Walled, tmp_path: Path
) -> None:
    """Addresses and tokens of the one that was killed are good for the next, so a client may even go on."""
    content, port = Random(5).randbytes(6 * MIB), free_port()
    async with running_sandbox(SandboxConfig()) as sandbox:
        plant(sandbox, "alice/demo", {"w.bin": content})
        sandbox.hub.troubles.add(Trouble.parse("origin=cdn,method=GET,path=/xorb/*,bandwidth=3MiB,times=1"))
        variables = {f"HFPROXY_{name}": value for name, value in OPEN.items()} | {"HF_ENDPOINT": sandbox.url}
        run = running(newest_client, network, f"http://{network.address}:{port}", tmp_path)
        variables["HFPROXY_SERVER__HOST"] = network.address
        async with serving(tmp_path / "data", port=port, **variables) as gateway:
            first = asyncio.create_task(run("down", "alice/demo", "w.bin", tmp_path / "first.bin", home="first"))
            await eventually(lambda: any("/xorb/" in each.raw_path for each in sandbox.asked))
            await gateway.end(signal.SIGKILL)
        async with serving(tmp_path / "data", port=port, **variables) as gateway:
            if (await first).code == 0:
                assert (tmp_path / "first.bin").read_bytes() == content
            for home, cost in (("second", 1.01 * len(content)), ("third", 0)):
                sandbox.hub.cas.traffic.clear()
                down = await run("down", "alice/demo", "w.bin", tmp_path / "down.bin", home=home)
                assert down.code == 0, str(down)
                assert (tmp_path / "down.bin").read_bytes() == content
                assert sandbox.hub.cas.traffic.bytes_out <= cost
            assert "Traceback" not in gateway.printed()
