"""`hfproxy config`: what is set, from where, and whether it is right."""

import sys

import typer

from hfproxy.cli.examples import examples
from hfproxy.cli.terminal import out, read_settings, wrong_settings
from hfproxy.starting import CannotStart

app = typer.Typer(
    help="Show and check the settings.\n\nThey come from the command line, the environment and `.env`, in this order.",
    invoke_without_command=True,
    epilog=examples("hfproxy config", "hfproxy config | grep -v ' default$'"),
)


@app.callback()
def show(context: typer.Context) -> None:
    """Print the effective settings, secrets masked, and where each came from."""
    if context.invoked_subcommand is not None:
        return
    from hfproxy.settings_loading import knobs

    loaded = read_settings()
    rows = [(knob.variable, loaded.shown(knob), loaded.origins.get(knob.variable, "default")) for knob in knobs()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for variable, value, origin in rows:
        # Plain lines of any length: they are read by people and by grep.
        print(f"{variable:{widths[0]}}  {value:{widths[1]}}  {origin}")


@app.command(epilog=examples("hfproxy config check && systemctl restart hfproxy"))
def check() -> None:
    """Check names, values and the certificates they name; exit with 78 and a line for each mistake."""
    from hfproxy.downstream.tls import serving_certificate
    from hfproxy.features.policy.reading import BadPolicy, read_policy
    from hfproxy.logs import set_up_logging
    from hfproxy.own_address import refuse_own_address
    from hfproxy.upstream.tls import hub_trust

    settings = read_settings().settings
    set_up_logging(settings.logging)
    problems = []
    for look in (
        lambda: serving_certificate(settings.server),
        lambda: hub_trust(settings.upstream),
        lambda: refuse_own_address(settings),
    ):
        try:
            look()
        except CannotStart as error:
            problems.append(str(error))
    if settings.policy.file is not None:
        try:
            read_policy(settings.policy.file)
        except BadPolicy as error:
            problems += [f"HFPROXY_POLICY__FILE: {problem}" for problem in error.problems]
    if problems:
        wrong_settings(problems)
    out.print("The settings are fine.")


@app.command(epilog=examples("hfproxy config sample > .env"))
def sample() -> None:
    """Print SAMPLE_ENV: every setting with its default and what it does."""
    from hfproxy.sample_env import sample_env

    sys.stdout.write(sample_env())


@app.command(epilog=examples("hfproxy config docs > docs/settings.md"))
def docs() -> None:
    """Print docs/settings.md: every setting as a page."""
    from hfproxy.settings_page import settings_page

    sys.stdout.write(settings_page())
