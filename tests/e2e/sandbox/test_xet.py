"""The real hf_xet, under every generation of the client, takes the sandbox's store for the Hub's."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import aiohttp

from hfproxy.sandbox.server import Sandbox
from hfproxy.upstream.refs import RepoType
from tests.support.clients import Client, Finished, environment

SCRIPT = Path(__file__).parent / "scenarios" / "by_xet.py"
ALICE, BOB = "hf_sandbox_alice", "hf_sandbox_bob"
MIB = 1024 * 1024

Run = Callable[..., Awaitable[Finished]]


def running(client: Client, sandbox: Sandbox, folder: Path) -> Run:
    """Runs the script in a home of its own: `run("up", …, home="first")`; a home remembers which chunks are there."""

    async def run(
        *arguments: str | Path, home: str = "home", token: str = ALICE, without_xet: bool = False
    ) -> Finished:
        env = environment(sandbox.url, folder / home, token)
        if not without_xet:
            del env["HF_HUB_DISABLE_XET"]
        return await client.run(client.python, SCRIPT, *arguments, env=env)

    return run


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def asked(sandbox: Sandbox, origin: str, start: str) -> list[str]:
    return [
        f"{each.method} {each.raw_path}" for each in sandbox.asked if each.origin == origin and start in each.raw_path
    ]


async def plainly(sandbox: Sandbox, path: str, **headers: str) -> bytes:
    async with aiohttp.ClientSession() as http, http.get(sandbox.url + path, headers=headers) as answer:
        assert answer.status in {200, 206}
        return await answer.read()


async def test_a_file_goes_up_and_comes_down_and_is_there_for_others(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    run = running(client, sandbox, tmp_path)
    content = Random(1).randbytes(2 * MIB) + bytes(MIB)
    up = await run("up", "alice/demo", written(tmp_path, "up.bin", content), "weights.bin")
    assert up.code == 0, str(up)
    assert len(asked(sandbox, "cas", "/xorb-commits/")) == 1 and not asked(sandbox, "cdn", "/incoming/")
    down = await run("down", "alice/demo", "weights.bin", tmp_path / "down.bin", home="other")
    assert down.code == 0, str(down)
    assert (tmp_path / "down.bin").read_bytes() == content
    assert asked(sandbox, "cdn", "/xorb/default/") and not asked(sandbox, "cdn", "/repos/")
    assert await plainly(sandbox, "/alice/demo/resolve/main/weights.bin") == content
    part = await plainly(sandbox, "/alice/demo/resolve/main/weights.bin", Range="bytes=2000000-2200000")
    assert part == content[2_000_000:2_200_001]
    cas = [each for each in sandbox.asked if each.origin == "cas"]
    assert not [each for each in cas if ALICE in each.headers.get("Authorization", "")]
    assert not [each for each in sandbox.asked if each.origin == "cdn" and "Authorization" in each.headers]


async def test_a_file_that_came_without_xet_has_the_hash_and_the_chunks_that_xet_gives_it(
    newest_client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    run = running(newest_client, sandbox, tmp_path)
    content = Random(2).randbytes(3 * MIB)
    file = written(tmp_path, "up.bin", content)
    plain = await run("up", "alice/plain", file, "weights.bin", home="plain", without_xet=True)
    assert plain.code == 0 and asked(sandbox, "hub", "/info/lfs/") and not asked(sandbox, "cas", "/"), str(plain)
    down = await run("down", "alice/plain", "weights.bin", tmp_path / "down.bin")
    assert down.code == 0, str(down)
    assert (tmp_path / "down.bin").read_bytes() == content
    assert asked(sandbox, "cdn", "/xorb/default/") and not asked(sandbox, "cdn", "/repos/")
    again = await run("up", "alice/again", file, "weights.bin", home="other")
    assert again.code == 0, str(again)
    assert asked(sandbox, "cas", "/shards") and not asked(sandbox, "cas", "/xorb-grants/")
    [first, second] = [sandbox.hub.find(RepoType.MODEL, repo).record.lfs for repo in ("alice/plain", "alice/again")]
    assert first.keys() == second.keys()
