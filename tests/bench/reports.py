"""What a suite found, and the page it becomes: `docs/performance.md`, one section for each suite."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.charts import Chart


@dataclass(frozen=True)
class Table:
    """Rows of text; the first column is set left, the others right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def markdown(self) -> str:
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"{self.caption}\n\n{table}" if self.caption else table


@dataclass(frozen=True)
class Report:
    """One suite's section. findings: a sentence each, made from the figures."""

    name: str
    title: str
    method: str
    findings: Sequence[str]
    tables: Sequence[Table]
    charts: Sequence[Chart] = ()

    def section(self, images: str) -> str:
        """The section in Markdown, its charts taken from the folder `images`."""
        parts = [f"## {self.title}", self.method]
        parts += ["\n".join(f"- {finding}" for finding in self.findings)]
        parts += [f"![{chart.title}]({images}/{chart.name}.svg)" for chart in self.charts]
        parts += [table.markdown() for table in self.tables]
        parts += [f"*{conditions()}*"]
        return "\n\n".join(part for part in parts if part) + "\n"


def conditions() -> str:
    """When and on what this was measured."""
    tools = [f"Python {platform.python_version()}", f"aiohttp {version('aiohttp')}", f"uvloop {version('uvloop')}"]
    if shutil.which("nginx"):
        told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr
        tools.append(told.strip().rpartition(": ")[2].replace("/", " "))
    tools.append("load by wrk" if shutil.which("wrk") else "load by the Python generator")
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {', '.join(tools)}"


def put_into(page: Path, report: Report) -> None:
    """Replaces the suite's section in the page, or adds it at the end, and writes its charts beside it."""
    images = page.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    for chart in report.charts:
        (images / f"{chart.name}.svg").write_text(chart.svg())
    begin, end = f"<!-- begin: {report.name} -->", f"<!-- end: {report.name} -->"
    section = f"{begin}\n{report.section('images')}{end}"
    text = page.read_text() if page.exists() else ""
    marked = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not marked.search(text):
        text = f"{text.rstrip()}\n\n{begin}{end}\n".lstrip()
    page.write_text(marked.sub(lambda _: section, text))
