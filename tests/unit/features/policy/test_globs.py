"""Globs match as their sentences say, fast whatever the text, and an index finds the same as trying each."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hfproxy.features.policy.globs import BadGlob, GlobIndex, matches

_GLOBS = st.lists(st.sampled_from(["a", "b", "ab", ".", "/", "*", "**", "?", "**/"]), min_size=1, max_size=6).map(
    "".join
)
_TEXTS = st.text("ab./", max_size=10)


def naive(glob: str, text: str, *, at_folder: bool = True) -> bool:
    """Tries every way, one character at a time."""
    if not glob:
        return not text
    if glob.startswith("**/") and at_folder:
        starts = [0, *[place + 1 for place, char in enumerate(text) if char == "/"]]
        return any(naive(glob[3:], text[start:]) for start in starts)
    if glob.startswith("**"):
        return any(naive(glob[2:], text[start:], at_folder=False) for start in range(len(text) + 1))
    if glob.startswith("*"):
        end = text.find("/") if "/" in text else len(text)
        return any(naive(glob[1:], text[start:], at_folder=False) for start in range(end + 1))
    if not text:
        return False
    return (text[0] != "/" if glob[0] == "?" else text[0] == glob[0]) and naive(
        glob[1:], text[1:], at_folder=glob[0] == "/"
    )


@settings(deadline=None)
@given(_GLOBS.filter(lambda glob: "***" not in glob), _TEXTS)
@example("*a**/", "aa/")
@example("a/**/b", "a/b")
def test_a_glob_matches_what_trying_every_way_finds(glob: str, text: str) -> None:
    assert matches(glob, text) == naive(glob, text)


@settings(deadline=None)
@given(st.lists(_GLOBS.filter(lambda glob: "***" not in glob), max_size=12), _TEXTS)
def test_an_index_finds_what_each_glob_matches(globs: list[str], text: str) -> None:
    index = GlobIndex((glob, 1 << place) for place, glob in enumerate(globs))
    assert index.bits(text) == sum(1 << place for place, glob in enumerate(globs) if naive(glob, text))


def test_case_does_not_matter() -> None:
    assert matches("*.PKL", "model.pkl")
    assert matches("*.pkl", "MODEL.PKL")


@pytest.mark.parametrize("glob", ["*a*a*a*a*a*a*a*a*b", "**a*a*a**a*a**a*a*ab", "**/*a*a*a/**/*a*a*b"])
def test_no_text_makes_a_glob_slow(glob: str) -> None:
    # Trying every place of eight stars would take longer than this test may.
    assert not matches(glob, "a" * 2000)


@pytest.mark.parametrize("glob", ["", "***", "a" * 201])
def test_what_is_no_glob_is_refused(glob: str) -> None:
    with pytest.raises(BadGlob):
        matches(glob, "a")
