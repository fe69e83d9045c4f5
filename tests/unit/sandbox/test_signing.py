"""Signed addresses permit what they say and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfproxy.sandbox.signing import Expired, NotSigned, Signer

NOW_S = 1_000_000.0


def signer(at_s: float = NOW_S, secret: bytes = b"secret") -> Signer:
    return Signer(secret, lasts_s=60, clock=lambda: at_s)


@given(st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda name: name != "Signature"), st.text(max_size=20)))
def test_what_was_signed_is_recognised_and_read_back(query):
    query = {name: value for name, value in query.items() if name not in {"Expires", "Key-Pair-Id"}}
    path, _, text = signer().sign("GET", "/repos/a/b", query).partition("?")
    told = signer().check("GET", path, text)
    assert {name: told[name] for name in query} == query


def test_another_spelling_of_the_same_address_is_the_same():
    _, _, text = signer().sign("GET", "/repos/a%20b", {"name": "it's a*"}).partition("?")
    assert signer().check("GET", "/repos/a%20b", text.replace("%2A", "*").replace("%27", "'"))["name"] == "it's a*"


@pytest.mark.parametrize(
    "tampered",
    [
        lambda method, path, text: ("PUT", path, text),
        lambda method, path, text: (method, path + "x", text),
        lambda method, path, text: (method, path, text + "&more=1"),
        lambda method, path, text: (method, path, text.replace("size=7", "size=8")),
        lambda method, path, text: (method, path, text.replace("Expires=1", "Expires=9")),
        lambda method, path, text: (method, path, text.partition("&Signature")[0]),
        lambda method, path, text: (method, path, text + "&Signature=0"),
        lambda method, path, text: (method, path, ""),
    ],
)
def test_any_change_breaks_the_signature(tampered):
    path, _, text = signer().sign("GET", "/repos/a", {"size": "7"}).partition("?")
    with pytest.raises(NotSigned):
        signer().check(*tampered("GET", path, text))


def test_another_secret_signs_otherwise():
    path, _, text = signer().sign("GET", "/repos/a", {}).partition("?")
    with pytest.raises(NotSigned):
        signer(secret=b"other").check("GET", path, text)


def test_it_ends_when_it_says():
    path, _, text = signer().sign("GET", "/repos/a", {}).partition("?")
    assert signer(NOW_S + 59).check("GET", path, text)
    with pytest.raises(Expired):
        signer(NOW_S + 60).check("GET", path, text)
