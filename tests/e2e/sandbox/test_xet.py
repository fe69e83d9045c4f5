"""The real hf_xet, under every generation of the client, takes the sandbox's store for the Hub's."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import aiohttp
import pytest

from hfproxy.sandbox.server import Sandbox, SandboxConfig, running_sandbox
from hfproxy.sandbox.trouble import Trouble
from hfproxy.upstream.refs import RepoType
from tests.support.clients import LAST_1, NEWEST, Client, Finished, client, environment
from tests.support.javascript import javascript_client, needs_npm
from tests.support.waiting import PATIENCE_S

SCRIPT = Path(__file__).parent / "scenarios" / "by_xet.py"
ALICE, BOB = "hf_sandbox_alice", "hf_sandbox_bob"
MIB = 1024 * 1024
QUICK = {"HF_XET_CLIENT_RETRY_BASE_DELAY": "50ms"}

Run = Callable[..., Awaitable[Finished]]


def running(client: Client, sandbox: Sandbox, folder: Path, **always: str) -> Run:
    """Runs the script in a home of its own: `run("up", …, home="first")`; a home remembers which chunks are there."""

    async def run(
        *arguments: str | Path, home: str = "home", token: str = ALICE, without_xet: bool = False, **more: str
    ) -> Finished:
        env = environment(sandbox.url, folder / home, token) | QUICK | always | more
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


async def by_git_lfs(sandbox: Sandbox, repo: str, content: bytes) -> bytes:
    """What git-lfs gets when it asks for a content's sha256."""
    wanted = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
    async with aiohttp.ClientSession() as http:
        batch = {"operation": "download", "transfers": ["basic"], "objects": [wanted]}
        async with http.post(f"{sandbox.url}/{repo}.git/info/lfs/objects/batch", json=batch) as answer:
            told = json.loads(await answer.read())
        async with http.get(told["objects"][0]["actions"]["download"]["href"]) as answer:
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
    assert await by_git_lfs(sandbox, "alice/demo", content) == content
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


async def test_a_folder_goes_up_and_comes_down_as_a_snapshot(client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    """Small files beside large ones, and an empty one, which no client sends by Xet."""
    run = running(client, sandbox, tmp_path)
    (tmp_path / "folder").mkdir()
    contents = {f"{number}.bin": Random(number).randbytes(400_000) for number in range(3)}
    contents |= {"empty.bin": b"", "README.md": b"---\nlicense: mit\n---\n"}
    for name, content in contents.items():
        written(tmp_path / "folder", name, content)
    up = await run("folder", "alice/demo", tmp_path / "folder", home="one")
    assert up.code == 0, str(up)
    assert sandbox.hub.cas.store.xorb_count == 1  # small files share one
    down = await run("snapshot", "alice/demo", tmp_path / "back", home="two")
    assert down.code == 0, str(down)
    assert {name: (tmp_path / "back" / name).read_bytes() for name in contents} == contents
    assert not asked(sandbox, "cdn", "/repos/")


async def test_of_a_second_version_only_what_is_new_goes_up(
    newest_client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    """More than one xorb holds, and uploaded from another home than the first, which remembers no chunk of it."""
    run = running(newest_client, sandbox, tmp_path)
    random, store = Random(3), sandbox.hub.cas.store
    first = random.randbytes(66 * MIB)
    second = first[: 20 * MIB] + random.randbytes(6 * MIB) + first[26 * MIB :]
    up = await run("up", "alice/demo", written(tmp_path, "first", first), "weights.bin", home="one")
    assert up.code == 0 and store.xorb_count == 2, str(up)
    before = store.stored_bytes
    up = await run("up", "alice/demo", written(tmp_path, "second", second), "weights.bin", home="two")
    assert up.code == 0, str(up)
    assert 6 * MIB < store.stored_bytes - before < 7 * MIB
    down = await run(
        *("down", "alice/demo", "weights.bin", tmp_path / "down"),
        home="three",
        HF_XET_CLIENT_ENABLE_MULTIRANGE_FETCHING="true",
    )
    assert down.code == 0, str(down)
    assert (tmp_path / "down").read_bytes() == second
    assert any("," in each.headers.get("Range", "") for each in sandbox.asked if each.origin == "cdn")
    part = await plainly(sandbox, "/alice/demo/resolve/main/weights.bin", Range="bytes=27000000-30000000")
    assert part == second[27_000_000:30_000_001]


@pytest.mark.parametrize("missing", ["/v2/*", "/v1/xorb-grants/*"])
async def test_a_client_gets_by_where_the_store_is_older(
    newest_client: Client, sandbox: Sandbox, tmp_path: Path, missing: str
) -> None:
    sandbox.hub.troubles.add(Trouble(status=404, origin="cas", path=missing))
    await goes_up_and_down(running(newest_client, sandbox, tmp_path), tmp_path)
    direct = asked(sandbox, "cas", "/v1/xorbs/default/")
    assert bool(direct) == (missing != "/v2/*")
    assert bool(asked(sandbox, "cas", "/v1/reconstructions/")) == (missing == "/v2/*")


@pytest.mark.parametrize(
    "trouble",
    [
        "cut=300kB,origin=cdn,path=/xorb/*,times=1",
        "status=403,origin=cdn,path=/xorb/*,times=1",
        "corrupt=1,origin=cdn,path=/xorb/*,times=1",
        "cut=headers,carried_out,origin=cdn,path=/xorb-uploads/*,times=1",
        "status=503,origin=cas,path=/v1/xorb-commits/*,times=1",
        "status=503,origin=cas,path=/v2/shards,times=1",
    ],
)
async def test_a_transfer_that_fails_half_way_is_mended(
    newest_client: Client, sandbox: Sandbox, tmp_path: Path, trouble: str
) -> None:
    sandbox.hub.troubles.add(Trouble.parse(trouble))
    await goes_up_and_down(running(newest_client, sandbox, tmp_path), tmp_path)
    [armed] = sandbox.hub.troubles
    assert armed.struck == 1


async def test_a_poisoned_xorb_reaches_the_users_file(newest_client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    """What a gateway must know: the client does not verify. Should this fail, decision 0033 has good news to tell."""
    run = running(newest_client, sandbox, tmp_path)
    content = Random(5).randbytes(MIB)
    await run("up", "alice/demo", written(tmp_path, "up", content), "weights.bin")
    sandbox.hub.troubles.add(Trouble.parse("corrupt=5000,origin=cdn,path=/xorb/*"))
    down = await run("down", "alice/demo", "weights.bin", tmp_path / "down", home="other")
    assert down.code == 0, str(down)
    received = (tmp_path / "down").read_bytes()
    assert len(received) == len(content) and received != content


@pytest.mark.parametrize("version", [NEWEST, LAST_1])
async def test_a_token_that_ends_in_the_middle_is_renewed(version: str, tmp_path: Path) -> None:
    """A client renews a token 30 seconds before it expires; so one of 31 seconds has to be renewed after one."""
    async with running_sandbox(SandboxConfig(xet_tokens_last_s=31)) as sandbox:
        sandbox.hub.troubles.add(Trouble.parse("latency=1500ms,origin=cdn,path=/xorb-uploads/*,times=1"))
        # The address of the first try is refused late, so that another reconstruction is needed, with another token.
        sandbox.hub.troubles.add(Trouble.parse("latency=1500ms,status=403,origin=cdn,path=/xorb/*,times=1"))
        await goes_up_and_down(running(client(version), sandbox, tmp_path), tmp_path)
        asked_in_order = [each.raw_path for each in sandbox.asked]
        for token, after in (("/xet-write-token/", "/xorb-uploads/"), ("/xet-read-token/", "/xorb/default/")):
            late = next(at for at, path in enumerate(asked_in_order) if after in path)
            assert any(token in path for path in asked_in_order[late:])


async def test_a_pull_request_goes_up_by_xet(newest_client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    run = running(newest_client, sandbox, tmp_path)
    first, second = Random(6).randbytes(MIB), Random(7).randbytes(MIB)
    await run("up", "alice/demo", written(tmp_path, "first", first), "weights.bin")
    opened = await run("pr", "alice/demo", written(tmp_path, "second", second), "weights.bin", home="bob", token=BOB)
    assert opened.code == 0, str(opened)
    assert asked(sandbox, "hub", "/xet-write-token/None")
    down = await run("down", "alice/demo", "weights.bin", tmp_path / "down", opened.out.strip(), home="other")
    assert down.code == 0, str(down)
    assert (tmp_path / "down").read_bytes() == second


async def test_all_of_it_goes_by_https(newest_client: Client, tmp_path: Path) -> None:
    async with running_sandbox(SandboxConfig(tls="valid")) as sandbox:
        trusting = running(newest_client, sandbox, tmp_path, SSL_CERT_FILE=str(sandbox.authority))
        await goes_up_and_down(trusting, tmp_path)
        assert asked(sandbox, "cas", "/v2/shards") and asked(sandbox, "cdn", "/xorb/default/")


@needs_npm
async def test_the_javascript_client_goes_both_ways_by_xet(sandbox: Sandbox) -> None:
    folder = await asyncio.to_thread(javascript_client)
    (folder / "by_xet.mjs").write_text(SCRIPT.with_suffix(".mjs").read_text())
    process = await asyncio.create_subprocess_exec(
        *("node", "by_xet.mjs", sandbox.url, ALICE),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await process.communicate()
    assert (process.returncode, said) == (0, b"passed\n"), said.decode()
    assert asked(sandbox, "cas", "/v1/shards") and asked(sandbox, "cdn", "/xorb/default/")
    assert not asked(sandbox, "cdn", "/incoming/") and not asked(sandbox, "cdn", "/repos/")


async def goes_up_and_down(run: Run, folder: Path) -> None:
    content = Random(4).randbytes(2 * MIB)
    up = await run("up", "alice/demo", written(folder, "up", content), "weights.bin", home="one")
    assert up.code == 0, str(up)
    down = await run("down", "alice/demo", "weights.bin", folder / "down", home="two")
    assert down.code == 0, str(down)
    assert (folder / "down").read_bytes() == content
