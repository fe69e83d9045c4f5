"""`python -m tests.bench`: measures, prints, and keeps the results in `docs/performance.md`."""

from pathlib import Path
from typing import Annotated

import typer

from tests.bench.effort import Effort
from tests.bench.processes import ROOT
from tests.bench.reports import put_into
from tests.bench.suites import SUITES

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(
    suites: Annotated[list[str] | None, typer.Argument(help="Which suites; all of them without.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the suites and end.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each figure is the median of them.")] = Effort.rounds,
    seconds: Annotated[
        float, typer.Option(min=0.2, help="Seconds of load for one figure in one round.")
    ] = Effort.seconds,
    mib: Annotated[int, typer.Option(min=64, help="Size of a large file.")] = Effort.mib,
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the soak.")] = Effort.minutes,
    quick: Annotated[bool, typer.Option("--quick", help="One short round of each, with smaller files.")] = False,
    page: Annotated[Path, typer.Option(help="Page whose sections are replaced.")] = ROOT / "docs" / "performance.md",
    dry: Annotated[bool, typer.Option("--dry", help="Print only, keep nothing.")] = False,
) -> None:
    """Measure hfproxy next to its peers."""
    if list_:
        for name, suite in SUITES.items():
            print(f"{name:14} {(suite.__doc__ or '').partition(chr(10))[0]}")
        return
    if unknown := [name for name in suites or () if name not in SUITES]:
        raise typer.BadParameter(f"there is no suite {', '.join(unknown)}; --list tells which there are")
    effort = Effort.least() if quick else Effort(rounds, seconds, mib, minutes)
    for name in suites or SUITES:
        report = SUITES[name](effort)
        print(report.section("images"))
        if not dry:
            put_into(page, report)


if __name__ == "__main__":
    app(prog_name="python -m tests.bench")
