"""Runs the gateway in this process: the built-in Hub if asked for, sockets, first screen, signals, an orderly end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from aiohttp import web
from pydantic import SecretStr

from hfproxy.app import create_app
from hfproxy.downstream.at_once import QUICK_LANE
from hfproxy.downstream.base_url import in_origin_form, under_prefix
from hfproxy.downstream.connections import GatewayRunner
from hfproxy.downstream.tls import serving_certificate
from hfproxy.keys import METRICS
from hfproxy.settings import SANDBOX, Settings
from hfproxy.starting import EX_UNAVAILABLE, CannotStart

log = structlog.get_logger(__name__)


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


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[str]:
    """A gateway that listens; gives its base URL. On leaving, running requests may finish.

    Raises CannotListen, and BadCertificate for either direction.
    """
    certificate = serving_certificate(settings.server)
    async with AsyncExitStack() as stack:
        app = create_app(settings)
        runner = GatewayRunner(
            app,
            metrics=app[METRICS],
            quick=app.get(QUICK_LANE),
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
        site = web.TCPSite(
            runner,
            settings.server.host,
            settings.server.port,
            backlog=1024,
            ssl_context=certificate.context if certificate is not None else None,
        )
        try:
            await site.start()
        except OSError as error:
            raise CannotListen(
                f"cannot listen on {settings.server.host}:{settings.server.port}: {error.strerror}"
            ) from None
        host, port = runner.addresses[0][:2]
        yield f"{'http' if certificate is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"


async def stop_signal() -> None:
    """Returns on the first SIGTERM or SIGINT; a second one ends the process where it stands, with 128 + its number."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told(signum: int) -> None:
        if stop.is_set():
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
    async with hub_ready(settings) as ready, running_gateway(ready) as url:
        log.info("server.started", url=url, upstream=ready.upstream.endpoint)
        announce(url, ready)
        await stop_signal()
        log.info("server.stopping")
    log.info("server.stopped")
