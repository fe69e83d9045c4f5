"""What the commands share: the two consoles, exit codes, and settings read with readable complaints.

Exit codes: 0 all went well · 1 it failed · 2 the command line is wrong · 69 the address is taken · 78 the settings are
wrong. 69 and 78 are `EX_UNAVAILABLE` and `EX_CONFIG` of sysexits.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from hfproxy.starting import EX_CONFIG

if TYPE_CHECKING:
    from rich.progress import Progress

    from hfproxy.settings_loading import LoadedSettings

# Names that people gave are shown as they are: `:x:` is no picture.
out = Console(emoji=False)
err = Console(stderr=True, emoji=False)
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def print_json(document: object) -> None:
    """One line of JSON on standard output: what a command found or did, for programs."""
    sys.stdout.write(json.dumps(document) + "\n")


def progress_bar(text: str = "{task.description}") -> "Progress":
    """Bytes that go by, on standard error; text: what stands before the bar."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(text), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err)


def read_settings(flags: dict[str, object] | None = None) -> "LoadedSettings":
    """The settings of this command; wrong ones end it with a line for each. flags: None stands for «not given»."""
    from hfproxy.settings_loading import BadSettings, load_settings

    given = {name: str(value) for name, value in (flags or {}).items() if value is not None}
    try:
        return load_settings(environ=os.environ, flags=given, certs=Path("certs"))
    except BadSettings as error:
        wrong_settings(error.problems)


def wrong_settings(problems: list[str]) -> NoReturn:
    """Ends the command because of its settings."""
    fail("These settings cannot be used:", *problems, code=EX_CONFIG)


def fail(headline: str, *details: str, code: int = 1) -> NoReturn:
    """Ends the command with a headline and a line for each detail."""
    err.print(headline, style="bold red", highlight=False, markup=False, soft_wrap=True)
    for detail in details:
        err.print(f"  {detail}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)
