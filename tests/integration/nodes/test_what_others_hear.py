"""What happens through one gateway, the other knows: writes, refusals, revoked keys, addresses for LFS objects."""

import asyncio

import aiohttp

from tests.integration.nodes.conftest import Shared
from tests.support.command import hfproxy
from tests.support.file_hub import NEXT_COMMIT, FileHub
from tests.support.waiting import eventually

OLD, NEW = b'{"version": 1}', b'{"version": 2}'
ALICE = {"Authorization": "Bearer hf_alice_of_the_tests"}


async def test_a_write_a_refusal_and_a_revoked_key(hub: FileHub, shared: Shared) -> None:
    hub.add("config.json", OLD, lfs=False)
    hub.add("open.json", OLD, repo="acme/open", lfs=False)
    long = {"HFPROXY_FILES__FRESH_FOR": "1h", "HFPROXY_FILES__RIGHTS_FOR": "1h"}
    async with shared.two(**long) as (a, b), aiohttp.ClientSession() as http:

        async def ask(url: str, path: str, **headers: str) -> tuple[int, bytes]:
            async with http.get(f"{url}/{path}", headers=headers) as answer:
                assert answer.status in {200, 401, 404}
                return answer.status, await answer.read()

        async def until_it_says(status: int, url: str, path: str, **headers: str) -> None:
            await eventually(lambda: ask(url, path, **headers), lambda found: found[0] == status)

        config = "acme/demo/resolve/main/config.json"
        for node in (a, b):
            assert await ask(node.url, config) == (200, OLD)
        hub.repos["acme/demo"].commit = NEXT_COMMIT
        hub.add("config.json", NEW, lfs=False)
        assert await ask(b.url, config) == (200, OLD), "it is kept for an hour"
        async with http.post(f"{a.url}/api/models/acme/demo/commit/main", data=b"{}") as answer:
            assert answer.status == 200
        assert await ask(a.url, config) == (200, NEW)
        await eventually(lambda: ask(b.url, config), lambda found: found == (200, NEW))

        # The Hub closes a repository to everybody but Bob; one gateway hears of it, the other believes it.
        opened = "acme/open/resolve/main/open.json"
        for node in (a, b):
            assert await ask(node.url, opened, **ALICE) == (200, OLD)
        hub.repos["acme/open"].tokens = {"hf_bob_of_the_tests"}
        assert (await ask(b.url, opened, **ALICE))[0] == 200, "the yes is remembered for an hour"
        # Another path, of which nothing is known: so the Hub is asked, and refuses.
        assert (await ask(a.url, "acme/open/resolve/other/open.json", **ALICE))[0] == 404
        await until_it_says(404, b.url, opened, **ALICE)

        made = await asyncio.to_thread(_keys, shared, "create", "ci", "--role", "reader")
        key = {"Authorization": f"Bearer {made.strip()}"}
        await until_it_says(200, b.url, config, **key)
        await asyncio.to_thread(_keys, shared, "revoke", "ci")
        await until_it_says(401, b.url, config, **key)


def _keys(shared: Shared, *arguments: str) -> str:
    root = shared.folder / ("a/kept" if shared.own_folders else "kept")
    done = hfproxy(
        "keys",
        *arguments,
        cwd=shared.folder,
        HFPROXY_STORAGE__ROOT=str(root),
        timeout_s=120,
        **shared.variables,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
