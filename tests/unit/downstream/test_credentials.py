"""The one secret in a request is found in each place where clients put it."""

import base64

import pytest
from multidict import CIMultiDict

from hfproxy.downstream.credentials import SentSecret, sent_secret
from hfproxy.errors import CallerUnknown


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({}, None),
        ({"Authorization": "Bearer hfp_x"}, SentSecret("hfp_x", ambient=False)),
        ({"authorization": "bearer  hfp_x "}, SentSecret("hfp_x", ambient=False)),
        ({"Authorization": basic("git:hfp_x")}, SentSecret("hfp_x", ambient=True)),
        ({"Authorization": basic("hfp_x:")}, SentSecret("hfp_x", ambient=True)),
        ({"Authorization": basic("a:b:c")}, SentSecret("b:c", ambient=True)),
        ({"X-API-Key": "hfp_x"}, SentSecret("hfp_x", ambient=False)),
        ({"X-API-Key": ""}, None),
        ({"X-API-Key": "hfp_x", "Authorization": "Bearer hfp_x"}, SentSecret("hfp_x", ambient=False)),
    ],
)
def test_where_a_secret_stands(headers: dict[str, str], sent: SentSecret | None) -> None:
    assert sent_secret(CIMultiDict(headers)) == sent


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": ""},
        {"Authorization": "hfp_x"},
        {"Authorization": "Digest a=b"},
        {"Authorization": "Basic !!!"},
        {"Authorization": basic(":")},
        {"Authorization": "Bearer hfp_x", "X-API-Key": "hfp_y"},
    ],
)
def test_what_cannot_be_read_is_refused_and_not_taken_for_nobody(headers: dict[str, str]) -> None:
    with pytest.raises(CallerUnknown):
        sent_secret(CIMultiDict(headers))


def test_a_secret_never_shows_in_a_repr() -> None:
    assert "hfp_x" not in repr(SentSecret("hfp_x", ambient=False))
