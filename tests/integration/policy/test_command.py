"""`hfproxy policy` says what is wrong with a file, and what it says about a call."""

import json
from pathlib import Path

from tests.support.command import hfproxy

RULES = """
[[rule]]
name = "no-pickle"
effect = "deny"
reason = "Pickles run code."
callers = ["ci-*"]
actions = ["read"]
files = ["*.pkl"]
"""


def test_a_file_is_checked_and_each_mistake_is_told(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES.replace('"deny"', '"forbid"') + "larger = 3\n")
    wrong = hfproxy("policy", "check", "rules.toml", cwd=tmp_path)
    assert wrong.returncode == 1
    assert 'line 4, rule 1 "no-pickle": effect: must be' in wrong.stderr
    assert 'line 9, rule 1 "no-pickle": larger: there is no such key' in wrong.stderr


def test_a_decision_is_explained_rule_by_rule(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    asked = ("policy", "explain", "--caller", "ci-1", "--method", "GET", "acme/demo", "a/model.pkl")
    denied = hfproxy(*asked, cwd=tmp_path, HFPROXY_POLICY__FILE="rules.toml")
    assert denied.returncode == 1
    assert 'denied by "no-pickle"' in denied.stdout
    assert "the caller is told: Pickles run code. (policy rule: no-pickle)" in denied.stdout
    allowed = hfproxy(*asked[:-1], "config.json", "--json", "--policy", "rules.toml", cwd=tmp_path)
    assert allowed.returncode == 0
    told = json.loads(allowed.stdout)
    assert (told["allowed"], told["rule"], told["steps"][0]["why"]) == (True, "default", "the file is config.json")


def test_an_example_can_be_begun_with(tmp_path: Path) -> None:
    printed = hfproxy("policy", "example", "company", cwd=tmp_path)
    assert (printed.returncode, printed.stdout.count("[[rule]]")) == (0, 6)
