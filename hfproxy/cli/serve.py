"""`hfproxy serve`: the gateway, in the foreground."""

import gc
from contextlib import suppress
from typing import Annotated

import typer

from hfproxy.cli.terminal import err, fail, read_settings
from hfproxy.starting import CannotStart


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = None,
    upstream: Annotated[
        str | None, typer.Option(help="The Hub to speak to: a URL, or `sandbox` for the built-in one.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes to serve with, on the one port.")] = None,
) -> None:
    """Start the gateway.

    Settings come from the environment and from `.env` (SAMPLE_ENV lists them); the options here win over both. It runs
    until Ctrl-C or SIGTERM, and lets running requests finish; a second signal ends it at once.
    """
    # What is imported stays. To look through it for garbage again and again is a tenth of the start.
    gc.disable()
    import uvloop

    from hfproxy.allocator import share_memory_between_threads
    from hfproxy.first_screen import gateway_screen
    from hfproxy.logs import set_up_logging
    from hfproxy.open_files import allow_many_open_files
    from hfproxy.own_address import refuse_own_address
    from hfproxy.server import outlive_hangups, serve_until_stopped
    from hfproxy.settings import Settings
    from hfproxy.workers import WorkerFailed, serve_with_workers

    flags: dict[str, object] = {
        "HFPROXY_SERVER__HOST": host,
        "HFPROXY_SERVER__PORT": port,
        "HFPROXY_UPSTREAM__ENDPOINT": upstream,
        "HFPROXY_SERVER__WORKERS": workers,
    }
    settings = read_settings(flags).settings
    share_memory_between_threads()
    allow_many_open_files()
    outlive_hangups()
    try:
        refuse_own_address(settings)
        set_up_logging(settings.logging, secrets=settings.secrets())
        serve_all = serve_until_stopped if settings.server.workers == 1 else serve_with_workers

        def announce(url: str, ready: Settings) -> None:
            gc.freeze()
            gc.enable()
            with suppress(OSError):  # a full disk, say: it listens all the same
                gateway_screen(err, url, settings, ready)

        uvloop.run(serve_all(settings, announce=announce))
    except WorkerFailed as error:
        raise typer.Exit(error.exit_code) from None
    except CannotStart as error:
        fail(str(error), code=error.exit_code)
