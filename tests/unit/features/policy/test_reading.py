"""A file of rules is read whole or not at all, and each mistake is told with its line and its rule."""

from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfproxy.features.policy.matching import RuleSet
from hfproxy.features.policy.models import Rate
from hfproxy.features.policy.reading import BadPolicy, parse_policy, read_policy


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("default = 'maybe'", "line 1: default: must be 'allow' or 'deny'"),
        ("# hm\n\nrules = []", "line 3: rules: there is no such key"),
        ("[[rule]\n", "not TOML: "),
        ("[[rule]]\nname='a'\neffect='deny'\nfiles='*.pkl'", 'line 4, rule 1 "a": files: '),
        ("[[rule]]\nname='a'\neffect='deny'\nfiles=[]", 'line 4, rule 1 "a": files: '),
        ("[[rule]]\nname='a'\neffect='deny'\nrepos=['*']", "rule 1 \"a\": repos: '*': write */* for all of them"),
        (
            "[[rule]]\nname='a'\neffect='deny'\nlicences=['mit']\nactions=['write']",
            "a rule on licences is about reading",
        ),
        ("[[rule]]\nname='a'\neffect='deny'\nlarger_than='big'", 'line 4, rule 1 "a": larger_than: '),
        (
            "[[rule]]\nname='a'\neffect='deny'\n[[rule]]\nname='a'\neffect='deny'",
            'line 5, rule 2 "a": there is a rule of',
        ),
        ("[[rule]]\nname='default'\neffect='deny'", "stands for the end of the file"),
        ("[[rule]]\nname='a\"} 1'\neffect='deny'", "line 2, rule 1"),
        ("[[limit]]\nname='a'\nrequests='0/m'", 'line 3, limit 1 "a": requests: must be a rate such as'),
        ("[[limit]]\nname='a'\nbandwidth='1/s'", 'line 3, limit 1 "a": bandwidth: '),
        ("[[limit]]\nname='a'\ntransfers=0", 'line 3, limit 1 "a": transfers: '),
        ("rule = [{name='a', effect='deny', file='x'}]", 'rule 1 "a": file: there is no such key'),
        ("rule = 3", "line 1: rule: "),
        ("[[rule]]\nname='a'\neffect='deny'\ncallers=['user:bob']", "write the name of a key such as"),
        ("[[rule]]\nname='a'\neffect='deny'\nfiles=['a***']", "write '*' or '**'"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(BadPolicy) as refused:
        parse_policy(text)
    assert any(told in problem for problem in refused.value.problems), refused.value.problems


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(BadPolicy) as refused:
        parse_policy("x = 1\n[[rule]]\nname='a'\n[[rule]]\neffect='deny'\n")
    assert len(refused.value.problems) == 3


@settings(deadline=None)
@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_nonsense_is_refused_and_breaks_nothing(text: str) -> None:
    try:
        RuleSet(parse_policy(text))
    except BadPolicy as error:
        assert error.problems


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\0" * 100, b"a = " + b"[" * 100_000])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rules.toml").write_bytes(content)
    with pytest.raises(BadPolicy, match=r"rules\.toml: "):
        read_policy(tmp_path / "rules.toml")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPolicy, match="cannot be read: No such file"):
        read_policy(tmp_path / "rules.toml")


@pytest.mark.parametrize("name", ["unsafe-formats", "company"])
def test_the_examples_are_right(name: str) -> None:
    text = files("hfproxy.features.policy.examples").joinpath(f"{name}.toml").read_text()
    assert parse_policy(text).rule


def test_rates_are_read_as_they_are_written() -> None:
    text = "[[limit]]\nname='a'\nrequests='3000/5m'\nbandwidth='20MiB/s'\n"
    [limit] = parse_policy(text).limit
    assert (limit.requests, limit.bandwidth) == (Rate(3000, 300.0), 20 * 1024**2)
