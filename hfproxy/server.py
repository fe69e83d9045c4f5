"""Runs the gateway in this process: the built-in Hub if asked for, sockets, first screen, signals, an orderly end."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web
from pydantic import SecretStr

from hfproxy import repeated_lines
from hfproxy.app import create_app
from hfproxy.downstream.at_once import QUICK_LANE
from hfproxy.downstream.base_url import in_origin_form, under_prefix
from hfproxy.downstream.connections import GatewayRunner
from hfproxy.downstream.tls import serving_certificate
from hfproxy.keys import CHECKS, METRICS, SETTINGS
from hfproxy.settings import SANDBOX, ServerSettings, Settings
from hfproxy.starting import EX_UNAVAILABLE, CannotStart

log = structlog.get_logger(__name__)

_BACKLOG = 1024

SANDBOX_TOKEN = "hf_sandbox_alice"  # noqa: S105 - documented, and good for nothing but the built-in Hub


class CannotListen(CannotStart):
    """The address is taken, or not ours to take."""

    exit_code = EX_UNAVAILABLE


@asynccontextmanager
async def hub_ready(settings: Settings) -> AsyncIterator[Settings]:
    """The settings with a Hub behind them: for `sandbox` the built-in one is started, and stopped at the end."""
    if settings.upstream.endpoint != SANDBOX:
        yield settings
        return
    # Imported where it is wanted: with its git it is an eighth of all that a start imports.
    from hfproxy.sandbox.config import SandboxConfig
    from hfproxy.sandbox.server import running_sandbox

    wanted = settings.sandbox
    config = SandboxConfig(port=wanted.port, data=wanted.data, seed=None if wanted.seed == "none" else wanted.seed)
    async with running_sandbox(config) as sandbox:
        upstream = settings.upstream.model_copy(
            update={"endpoint": sandbox.url, "token": _sandbox_token(settings.upstream.token)}
        )
        yield settings.model_copy(update={"upstream": upstream})


def _sandbox_token(configured: SecretStr | None) -> SecretStr:
    """The configured token if the built-in Hub can know it: a real one, set for other programs, is of no use there."""
    if configured is not None and configured.get_secret_value().startswith("hf_sandbox_"):
        return configured
    return SecretStr(SANDBOX_TOKEN)


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that listens."""

    url: str
    app: web.Application

    async def drain(self) -> None:
        """Goes on serving for a while, and says to load balancers and kept connections that it will not for long."""
        wait_s = self.app[SETTINGS].server.drain_for.total_seconds()
        if wait_s > 0:
            self.app[CHECKS]["stopping"] = _stopping
            if QUICK_LANE in self.app:
                self.app[QUICK_LANE].answers = ()  # its connections stay open
            log.info("server.draining", wait_s=wait_s)
            await asyncio.sleep(wait_s)


async def _stopping() -> str | None:
    raise RuntimeError("this gateway is about to stop")


async def _close_while_draining(request: web.Request, response: web.StreamResponse) -> None:
    if "stopping" in request.app[CHECKS]:
        response.force_close()
        response.headers["Connection"] = "close"  # aiohttp has written its headers by now


def listening_sockets(server: ServerSettings, *, shared: bool = False) -> list[socket.socket]:
    """Sockets on the configured address, one for each address that its name has. Raises CannotListen.

    shared: others may listen on the same port, and the system gives each a part of the connections.
    """
    opened: list[socket.socket] = []
    port = server.port
    try:
        found = socket.getaddrinfo(server.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            opened.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port, *address[2:]))
            sock.listen(_BACKLOG)
            port = sock.getsockname()[1]  # a free one is the same for all addresses
    except OSError as error:
        for sock in opened:
            sock.close()
        raise CannotListen(f"cannot listen on {server.host}:{server.port}: {error.strerror}") from None
    return opened


@asynccontextmanager
async def opened_gateway(
    settings: Settings, *, sockets: Sequence[socket.socket] | None = None
) -> AsyncIterator[Running]:
    """A gateway that listens, on the configured address or on these sockets. On leaving, running requests may finish.

    Raises CannotListen, and BadCertificate for either direction.
    """
    certificate = serving_certificate(settings.server)
    async with AsyncExitStack() as stack:
        app = create_app(settings)
        app.on_response_prepare.append(_close_while_draining)
        runner = GatewayRunner(
            app,
            metrics=app[METRICS],
            quick=app.get(QUICK_LANE),
            most=settings.server.max_connections,
            unread_s=settings.server.unread_timeout.total_seconds(),
            # A caller who hangs up ends the work done for them.
            handler_cancellation=True,
            keepalive_timeout=settings.server.keepalive_timeout.total_seconds(),
            shutdown_timeout=settings.server.shutdown_timeout.total_seconds(),
            max_line_size=64 * 1024,
            max_field_size=64 * 1024,
            # A relayed body goes on as it is coded.
            auto_decompress=False,
        )
        stack.push_async_callback(runner.cleanup)  # first, since a start that fails half way has opened things too
        await runner.setup()
        assert runner.server is not None
        if prefix := settings.server.path_prefix:
            runner.server.request_factory = under_prefix(prefix, runner.server.request_factory)
        runner.server.request_factory = in_origin_form(runner.server.request_factory)
        if certificate is not None:
            await stack.enter_async_context(certificate.following_files())
        tls = certificate.context if certificate is not None else None
        if sockets is None:
            site = web.TCPSite(runner, settings.server.host, settings.server.port, backlog=_BACKLOG, ssl_context=tls)
            try:
                await site.start()
            except OSError as error:
                raise CannotListen(
                    f"cannot listen on {settings.server.host}:{settings.server.port}: {error.strerror}"
                ) from None
        for sock in sockets or ():
            await web.SockSite(runner, sock, backlog=_BACKLOG, ssl_context=tls).start()
        host, port = runner.addresses[0][:2]
        yield Running(f"{'http' if tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}", app)


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[str]:
    """As `opened_gateway`; gives its base URL."""
    async with opened_gateway(settings) as running:
        yield running.url


def outlive_hangups() -> None:
    """Lets SIGHUP end nothing but a gateway whose terminal is closed.

    Elsewhere it asks to look at files again (log, certificate, policy), which happens by itself.
    """
    if not os.isatty(0):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


async def stop_signal(*, on_second: Callable[[], None] = lambda: None) -> None:
    """Returns on the first SIGTERM or SIGINT; a second one ends the process where it stands, with 128 + its number.

    on_second: called right before that.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told(signum: int) -> None:
        if stop.is_set():
            on_second()
            repeated_lines.flush()
            # Not by the signal's default action: process 1 of a container does not have any.
            os._exit(128 + signum)
        stop.set()

    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, told, signum)
    await stop.wait()


async def serve_until_stopped(settings: Settings, *, announce: Callable[[str, Settings], None]) -> None:
    """Serves until SIGTERM or SIGINT, then lets running requests finish.

    announce: called once the server listens, with its URL and the settings with the Hub's address in them.
    """
    async with hub_ready(settings) as ready, opened_gateway(ready) as running:
        log.info("server.started", url=running.url, upstream=ready.upstream.endpoint)
        announce(running.url, ready)
        await stop_signal()
        await running.drain()
        log.info("server.stopping")
    log.info("server.stopped")


async def serve_as_worker(settings: Settings, *, sockets: Sequence[int], tell: int, parent: int) -> None:
    """Serves on these descriptors until a signal, or until the parent's end of a pipe is closed.

    tell: a descriptor that the URL is written to once it listens.
    """
    opened = [socket.socket(fileno=fd) for fd in sockets]
    async with opened_gateway(settings, sockets=opened) as running:
        os.write(tell, f"{running.url}\n".encode())
        os.close(tell)
        orphaned = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(parent, orphaned.set)  # nothing more is ever written to it: what can be read is its end
        ends = [asyncio.create_task(stop_signal()), asyncio.create_task(orphaned.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(parent)
            ends[1].cancel()
        if not orphaned.is_set():
            await running.drain()
