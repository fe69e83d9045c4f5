"""A gateway before a sandbox Hub in a thread of its own, for tests that cannot be coroutines (hypothesis shrinks)."""

import asyncio
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import running_sandbox
from tests.support.gateway import gateway_for


@dataclass(frozen=True)
class Answer:
    """One whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class ThreadedGateway:
    """Where it listens, and one connection that is opened again when the server has closed it."""

    url: str
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        """The answer to a request whose target is sent as it is."""
        self._connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            self._connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            self._connection.putheader("Content-Length", str(len(body)))
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def close(self) -> None:
        self._connection.close()


@contextmanager
def threaded_gateway(root: Path) -> Iterator[ThreadedGateway]:
    """A running one; alice is the account behind it."""
    started = threading.Event()
    urls: list[str] = []
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        async with (
            running_sandbox(SandboxConfig()) as hub,
            gateway_for(hub.url, root, UPSTREAM__TOKEN="hf_sandbox_alice") as gateway,
        ):
            urls.append(gateway.url)
            end = asyncio.Event()
            ends.append((asyncio.get_running_loop(), end))
            started.set()
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(60), "the gateway did not start"
    gateway = ThreadedGateway(urls[0])
    try:
        yield gateway
    finally:
        gateway.close()
        [(loop, end)] = ends
        loop.call_soon_threadsafe(end.set)
        thread.join(60)
