"""Two gateways are exchanged one after the other, under load: no request fails, and none is answered wrongly."""

import asyncio
import hashlib
import itertools
import os
import signal
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.integration.nodes.conftest import Shared
from tests.support.file_hub import FileHub
from tests.support.serving import Serving
from tests.support.waiting import eventually

MIB = 1024**2
CLIENTS = 6
KEPT = os.urandom(MIB + 77)
LONG = os.urandom(6 * MIB + 99)
# Long enough to be noticed by a balancer that looks as often as this one does, on a machine with much else to do.
DRAIN = {"HFPROXY_SERVER__DRAIN_FOR": "3s"}


class Balancer:
    """Gives each request to the next gateway that says it is ready, as a load balancer does."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self.nodes: list[Serving] = []
        self.ready: list[Serving] = []
        self.done = 0
        self.paths: dict[str, bytes] = {}
        self._turn = itertools.count()

    async def look(self) -> None:
        """Asks each again and again, until cancelled."""
        while True:
            ready = [node for node in list(self.nodes) if await self._says_so(node)]
            self.ready = [node for node in ready if node in self.nodes]
            await asyncio.sleep(0.05)

    async def load(self) -> None:
        """One client after the other, until cancelled; fails with the first request that does."""
        while True:
            number = next(self._turn)
            if not self.ready:
                await asyncio.sleep(0.05)
                continue
            node = self.ready[number % len(self.ready)]
            path = list(self.paths)[number % len(self.paths)]
            try:
                if number % 5 == 0:
                    await self.write(node)
                else:
                    await self.read(node, path)
            except aiohttp.ClientConnectorError:
                continue  # refused: balancers try another then. It happens where we were late to see that it drains.
            self.done += 1

    async def read(self, node: Serving, path: str) -> None:
        async with self._http.get(f"{node.url}/acme/demo/resolve/main/{path}") as answer:
            body = await answer.read()
            assert answer.status == 200, (answer.status, body)
            assert hashlib.sha256(body).digest() == hashlib.sha256(self.paths[path]).digest()

    async def write(self, node: Serving) -> None:
        async with self._http.post(f"{node.url}/api/models/acme/demo/commit/main", data=b"{}") as answer:
            assert answer.status == 200, await answer.text()

    async def _says_so(self, node: Serving) -> bool:
        try:
            async with self._http.get(f"{node.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@pytest.mark.parametrize("shared", ["bucket"], indirect=True)
async def test_no_request_fails_while_both_are_exchanged(hub: FileHub, shared: Shared) -> None:
    hub.add("kept.bin", KEPT)
    hub.add("config.json", b"{}", lfs=False)
    hub.add("long.bin", LONG)
    connector = aiohttp.TCPConnector(force_close=True)
    async with AsyncExitStack() as stack, aiohttp.ClientSession(connector=connector) as http:
        balancer = Balancer(http)
        balancer.paths = {"kept.bin": KEPT, "config.json": b"{}"}
        names = iter(["a", "b", "c", "d"])

        async def start() -> Serving:
            node = await stack.enter_async_context(shared.node(next(names), **DRAIN))
            balancer.nodes.append(node)
            await eventually(lambda: node in balancer.ready)
            return node

        looking = asyncio.create_task(balancer.look())
        old = [await start(), await start()]
        clients = [asyncio.create_task(balancer.load()) for _ in range(CLIENTS)]
        balancer.paths["long.bin"] = LONG

        async def served_more() -> None:
            """Returns once more was answered, or a request has failed."""
            wanted = balancer.done + 3 * CLIENTS
            await eventually(lambda: balancer.done >= wanted or any(client.done() for client in clients))

        await served_more()
        for node in old:
            hub.repos["acme/demo"].files[f"cold-{node.pid}.bin"] = cold = os.urandom(3 * MIB + node.pid)
            hub.repos["acme/demo"].lfs.add(f"cold-{node.pid}.bin")
            balancer.paths[f"cold-{node.pid}.bin"] = cold
            ending = asyncio.create_task(node.end(signal.SIGTERM))
            await eventually(lambda node=node: node not in balancer.ready)  # type: ignore[misc]
            balancer.nodes.remove(node)
            await served_more()
            assert await ending == 0
            await start()
            await served_more()
        looking.cancel()
        for client in clients:
            client.cancel()
        ended = await asyncio.gather(*clients, return_exceptions=True)
        assert [error for error in ended if not isinstance(error, asyncio.CancelledError)] == []
