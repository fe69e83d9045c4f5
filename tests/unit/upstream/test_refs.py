"""Names on the Hub, taken apart and put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfproxy.upstream.refs import BadReference, FileRef, RepoRef, RepoType

parts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1).filter(
    lambda part: part not in {".", ".."}
)
repos = st.builds(
    RepoRef, st.sampled_from(RepoType), st.sampled_from(["acme", "a-1"]), st.sampled_from(["resolve", "m"])
)


@given(repos, parts, st.lists(parts, min_size=1, max_size=4))
def test_a_file_printed_as_a_url_is_the_same_file_when_parsed(repo: RepoRef, revision: str, path: list[str]) -> None:
    ref = FileRef(repo, revision, "/".join(path))
    assert FileRef.parse(ref.url_path()) == ref


@given(st.text())
def test_any_path_is_a_file_or_a_bad_reference(raw_path: str) -> None:
    try:
        ref = FileRef.parse(raw_path)
    except BadReference:
        return
    assert ref.path
    assert ".." not in ref.path.split("/")


@pytest.mark.parametrize("repo_id", ["a/b/c", "-a", "a--b", "a..b", "a.git", "é", "a" * 97, "", "a/", "/a", "a b"])
def test_an_id_that_the_hub_refuses_is_a_bad_reference(repo_id: str) -> None:
    with pytest.raises(BadReference):
        RepoRef.parse(RepoType.MODEL, repo_id)


def test_a_repository_named_like_a_verb_is_told_from_the_verb() -> None:
    ref = FileRef.parse("/datasets/acme/resolve/resolve/refs%2Fpr%2F1/resolve/a%20b.txt")
    assert ref == FileRef(RepoRef(RepoType.DATASET, "acme", "resolve"), "refs/pr/1", "resolve/a b.txt")
