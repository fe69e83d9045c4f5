"""The `hfproxy` command: one module for each subcommand.

All of them are imported for each command, if only for its help. So each imports what it works with inside its
functions: settings, databases and servers take ten times as long as what `--help` needs.
"""

import errno
import os
import sys
from typing import Annotated

import typer

from hfproxy.cli import bundles, cache, config, keys, policy
from hfproxy.cli.certs import certs
from hfproxy.cli.examples import examples
from hfproxy.cli.health import health
from hfproxy.cli.openapi import openapi
from hfproxy.cli.sandbox import sandbox
from hfproxy.cli.serve import serve
from hfproxy.cli.terminal import err, out
from hfproxy.cli.warm import warm
from hfproxy.cli.worker import worker
from hfproxy.open_files import open_standard_files

app = typer.Typer(
    name="hfproxy",
    help="A team's own front door to the Hugging Face Hub.\n\n"
    "Start with `hfproxy serve --upstream sandbox`: no account and no network needed.",
    epilog="Exit codes: 0 fine, 1 failed, 2 wrong command line, 69 address taken, 78 wrong settings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command(
    epilog=examples(
        "hfproxy serve --upstream sandbox",
        "HF_ACCESS_TOKEN=hf_... hfproxy serve --port 9000 --workers 2",
    )
)(serve)
app.command(
    epilog=examples(
        "hfproxy sandbox --seed demo",
        "hfproxy sandbox --data hub --trouble latency=50ms",
    )
)(sandbox)
app.command(epilog=examples("hfproxy certs --name hub.example.com --name 192.0.2.7"))(certs)
app.command(epilog=examples("hfproxy health || echo down"))(health)
app.command(epilog=examples("hfproxy openapi > openapi.json"))(openapi)
app.command(hidden=True)(worker)
cache.app.command(
    epilog=examples(
        "hfproxy cache warm acme/demo --pin",
        "hfproxy cache warm acme/demo@v1 --include '*.safetensors' --include '*.json'",
    )
)(warm)
cache.app.command(
    "export",
    epilog=examples(
        "hfproxy cache export acme/demo@v1 datasets/acme/tickets -o bundle.tar",
        "hfproxy cache export acme/demo -o - | ssh inside hfproxy cache import -",
    ),
)(bundles.export)
cache.app.command(
    "import",
    epilog=examples(
        "hfproxy cache import bundle.tar --pin",
        "hfproxy cache import ~/.cache/huggingface --names --only acme/demo",
    ),
)(bundles.import_)
app.add_typer(cache.app, name="cache")
app.add_typer(config.app, name="config")
app.add_typer(keys.app, name="keys")
app.add_typer(policy.app, name="policy")


def main() -> None:
    """Runs the command."""
    open_standard_files()
    try:
        try:
            app(prog_name="hfproxy")
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EPIPE}:
            raise
        # What could not be written waits for one more try, at Python's end, that would not be quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno == errno.ENOSPC:
            err.print(str(error), style="bold red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        from hfproxy import __version__

        out.print(f"hfproxy {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The options of every command."""
