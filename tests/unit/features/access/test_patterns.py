"""A pattern means exactly the repositories that its text says, whatever their case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfproxy.features.access.patterns import BadPattern, check_pattern, covers, matches
from hfproxy.upstream.refs import BucketRef, RepoRef, RepoType

NAMES = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9_]{0,10}[a-zA-Z0-9])?", fullmatch=True)
TYPES = st.sampled_from(list(RepoType))


def ref(text: str, repo_type: RepoType = RepoType.MODEL) -> RepoRef:
    return RepoRef.parse(repo_type, text)


@pytest.mark.parametrize(
    ("pattern", "repo_type", "repo_id", "meant"),
    [
        ("acme/*", RepoType.MODEL, "acme/demo", True),
        ("acme/*", RepoType.DATASET, "Acme/Demo", True),
        ("ACME/*", RepoType.SPACE, "acme/demo", True),
        ("acme/*", RepoType.MODEL, "acme2/demo", False),
        ("acme/*", RepoType.MODEL, "demo", False),
        ("acme/demo", RepoType.MODEL, "acme/demo2", False),
        ("acme/demo", RepoType.MODEL, "xacme/demo", False),
        ("*/public-*", RepoType.MODEL, "bob/public-1", True),
        ("*/public-*", RepoType.MODEL, "bob/private-1", False),
        ("datasets/acme/*", RepoType.DATASET, "acme/demo", True),
        ("datasets/acme/*", RepoType.MODEL, "acme/demo", False),
        ("models/acme/*", RepoType.MODEL, "acme/demo", True),
        ("models/acme/*", RepoType.KERNEL, "acme/demo", False),
        ("datasets/*/*", RepoType.DATASET, "bob/x", True),
        ("datasets/*/*", RepoType.DATASET, "squad", False),
        ("models/gpt2", RepoType.MODEL, "GPT2", True),
        ("models/gpt2", RepoType.MODEL, "acme/gpt2", False),
        ("acme/a.b", RepoType.MODEL, "acme/axb", False),
        ("*/*", RepoType.MODEL, "gpt2", False),
        ("buckets/acme/*", RepoType.MODEL, "acme/demo", False),
    ],
)
def test_what_a_pattern_means(pattern: str, repo_type: RepoType, repo_id: str, meant: bool) -> None:
    assert matches(check_pattern(pattern), ref(repo_id, repo_type)) is meant


@pytest.mark.parametrize(
    ("pattern", "bucket", "meant"),
    [
        ("buckets/acme/*", "Acme/pool", True),
        ("BUCKETS/acme/pool", "acme/pool", True),
        ("buckets/acme/*", "bob/pool", False),
        ("buckets/*/*", "bob/pool", True),
        ("acme/*", "acme/pool", True),
        ("datasets/acme/*", "acme/pool", False),
        ("models/acme/pool", "acme/pool", False),
    ],
)
def test_which_buckets_a_pattern_means(pattern: str, bucket: str, meant: bool) -> None:
    assert matches(check_pattern(pattern), BucketRef.parse(bucket)) is meant


@pytest.mark.parametrize(
    "pattern",
    [
        "buckets/pool",
        "buckets/acme/a/b",
        "",
        "acme",
        "*",
        "datasets/*",
        "acme/",
        "/acme",
        "a/b/c",
        "datasets/a/b/c",
        "acme/[a]",
        "acme/a b",
        "acme/**?",
    ],
)
def test_what_is_no_pattern_is_told(pattern: str) -> None:
    with pytest.raises(BadPattern, match="write"):
        check_pattern(pattern)


@given(TYPES, NAMES, NAMES, TYPES, NAMES, NAMES)
def test_a_pattern_without_stars_means_one_name_only(
    kind: RepoType, owner: str, name: str, other_kind: RepoType, other_owner: str, other_name: str
) -> None:
    pattern = check_pattern(f"{kind.api_segment}/{owner}/{name}")
    asked = RepoRef(other_kind, other_owner, other_name)
    assert matches(pattern, asked) == (asked.folded == RepoRef(kind, owner, name).folded)


@given(NAMES, NAMES, NAMES, TYPES)
def test_a_namespaces_pattern_never_means_another_namespace(owner: str, other: str, name: str, kind: RepoType) -> None:
    assert matches(check_pattern(f"{owner}/*"), RepoRef(kind, owner.swapcase(), name))
    assert matches(f"{owner}/*", RepoRef(kind, other, name)) == (owner.casefold() == other.casefold())


@given(NAMES, NAMES, TYPES)
def test_no_limit_covers_all_and_an_empty_one_nothing(owner: str, name: str, kind: RepoType) -> None:
    assert covers(None, RepoRef(kind, owner, name))
    assert not covers((), RepoRef(kind, owner, name))
