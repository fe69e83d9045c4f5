"""Troubles as text, JSON and values; and which requests they meet."""

import re
from pathlib import Path

import pytest

from hfproxy.sandbox.trouble import BadTrouble, Trouble, Troubles


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        (
            "status=503,times=2,method=POST,path=/api/repos/create",
            Trouble(status=503, times=2, method="POST", path="/api/repos/create"),
        ),
        ("latency=50ms", Trouble(latency_s=0.05)),
        ("latency=1.5s, first-byte=2m", Trouble(latency_s=1.5, first_byte_s=120)),
        ("status=503,rate=0.1,path=/api/*,seed=7", Trouble(status=503, rate=0.1, path="/api/*", seed=7)),
        ("rate_limited=30", Trouble(rate_limited_s=30)),
        ("status=429,retry-after=5s", Trouble(status=429, retry_after_s=5)),
        ("cut=1MiB,reset,origin=cdn", Trouble(cut=1024 * 1024, reset=True, origin="cdn")),
        ("cut=headers", Trouble(cut="headers")),
        ("hang=0", Trouble(hang=0)),
        ("bandwidth=100kB", Trouble(bandwidth_bytes_s=100_000)),
        ("length=-3", Trouble(length_off_bytes=-3)),
        ("corrupt=10,carried_out", Trouble(corrupt_at_byte=10, carried_out=True)),
        ("without=X-Repo-Commit+ETag", Trouble(without=("X-Repo-Commit", "ETag"))),
        ("body=html", Trouble(body="html")),
    ],
)
def test_a_line_says_what_a_value_says(text, trouble):
    assert Trouble.parse(text) == trouble
    assert Trouble.of(trouble.model_dump(mode="json", exclude_defaults=True)) == trouble


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("status=200", "status"),
        ("status=often", "status"),
        ("colour=red,status=500", "colour"),
        ("path=/api/*", "it does nothing"),
        ("", "it does nothing"),
        ("reset,status=500", "where with cut"),
        ("rate_limited=3,status=500", "429"),
        ("latency=-1s", "latency"),
        ("latency=soon", "latency"),
        ("rate=0,status=500", "rate"),
        ("cut=somewhere", "cut"),
        ("bandwidth=0", "bandwidth"),
    ],
)
def test_what_makes_no_sense_is_said(text, said):
    with pytest.raises(BadTrouble, match=said):
        Trouble.parse(text)


def struck(troubles: Troubles, count: int, *, origin="hub", method="GET", path="/api/models") -> list[bool]:
    return [bool(troubles.strike(origin, method, path)) for _ in range(count)]


def test_it_meets_the_next_so_many_and_is_over():
    assert struck(Troubles([Trouble(status=500, times=2)]), 4) == [True, True, False, False]
    assert struck(Troubles([Trouble(status=500, times=1, skip=2)]), 4) == [False, False, True, False]


def test_it_meets_only_its_kind():
    troubles = Troubles([Trouble(status=500, method="post", path="/api/*/create", origin="hub")])
    assert struck(troubles, 1, method="POST", path="/api/repos/create") == [True]
    assert struck(troubles, 1, method="POST", path="/api/repos/delete") == [False]
    assert struck(troubles, 1, path="/api/repos/create") == [False]
    assert struck(troubles, 1, method="POST", path="/api/repos/create", origin="cdn") == [False]


def test_a_share_is_the_same_share_each_time():
    first, second = (struck(Troubles([Trouble(status=500, rate=0.3, seed=1)]), 1000) for _ in range(2))
    assert first == second and 250 < sum(first) < 350
    assert first != struck(Troubles([Trouble(status=500, rate=0.3, seed=2)]), 1000)


def test_troubles_end_one_by_one_or_all_at_once():
    troubles = Troubles()
    first, second = troubles.add(Trouble(status=500)), troubles.add(Trouble(status=502))
    assert [each.status for each in troubles.strike("hub", "GET", "/")] == [500, 502]
    assert troubles.remove(first.trouble_id) and not troubles.remove(first.trouble_id)
    assert list(troubles) == [second] and second.struck == 1
    over = troubles.over
    troubles.clear()
    assert over.is_set() and not troubles.over.is_set() and not list(troubles)


def test_every_switch_is_documented():
    text = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text()
    for name in Trouble.model_fields:
        said = re.sub("_(s|bytes_s|off_bytes|at_byte)$", "", name)
        assert f"`{said}=" in text or f"`{said}`" in text or f",{said}`" in text, said
