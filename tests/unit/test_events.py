"""The list of log events is what the code writes and what the documentation explains."""

import ast
import re
from pathlib import Path

from hfproxy.logs import EVENTS

ROOT = Path(__file__).parents[2]
_LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
_ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| (.+) \|$", re.MULTILINE)


def _written_in(path: Path) -> set[str]:
    return {
        call.args[0].value
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in _LEVELS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "log"
        and isinstance(call.args[0], ast.Constant)
    }


def test_every_event_that_the_code_writes_is_listed_and_no_other() -> None:
    written = set().union(*map(_written_in, (ROOT / "hfproxy").rglob("*.py")))
    assert written == set(EVENTS), "list each event in EVENTS of hfproxy/logs.py"


def test_the_documentation_explains_exactly_the_listed_events() -> None:
    explained = dict(_ROW.findall((ROOT / "docs" / "logging.md").read_text(encoding="utf-8")))
    assert explained == EVENTS, "give each event of EVENTS, with its words, a row in docs/logging.md"
