"""No secret passes, wherever in a text it stands."""

import base64
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hfproxy.redaction import _NAMED, _SIGNS, HIDDEN, redact, redact_value

ALNUM = string.ascii_letters + string.digits
bodies = st.text(ALNUM, min_size=8, max_size=60)
tokens = st.builds(
    str.__add__, st.sampled_from(["hf_", "hfp_", "hf_oauth_", "hf_jwt_", "hf_sandbox_", "api_org_"]), bodies
)
prose = st.text(max_size=40)


@given(prose, tokens, prose)
@example("Bearer", "hf_hub_download1", "")
def test_a_token_is_hidden_in_any_text(before: str, token: str, after: str) -> None:
    assert token not in redact(f"{before}{token} {after}")


PIECES = [
    *_SIGNS,
    *map(str.upper, _SIGNS),
    "eyJhbGciOiJI.eyJzdWIi.c2ln",
    "user:pw@",
    "?sig=",
    "&token=",
    ": ",
    " ",
    "aB3aB3aB3",
]


@given(st.lists(st.sampled_from(PIECES) | prose, max_size=8).map("".join))
def test_what_has_no_sign_of_a_secret_has_none(text: str) -> None:
    """The short way past the search is never taken where the search would find something."""
    if _NAMED.search(text):
        assert any(sign in text.casefold() for sign in _SIGNS)


@given(
    st.sampled_from(["Authorization", "proxy-authorization", "X-API-Key", "Cookie", "set-cookie"]),
    st.sampled_from(["{}: {}", "{}={}", "'{}': '{}'", '"{}": "{}"', "('{}', '{}')", "{}: Bearer {}", "{}: Basic {}"]),
    bodies,
)
def test_a_credential_header_is_hidden_however_it_is_written(name: str, form: str, value: str) -> None:
    assert value not in redact("sent " + form.format(name, value))


@given(st.text(ALNUM + "-_", min_size=1, max_size=20), st.text(ALNUM + "@:!$+", min_size=10, max_size=20))
def test_basic_credentials_are_hidden(user: str, password: str) -> None:
    value = base64.b64encode(f"{user}:{password}".encode()).decode()
    assert value not in redact(f"the header was Basic {value}, it seems")


@given(
    st.sampled_from(
        [
            "X-Amz-Signature",
            "X-Amz-Credential",
            "X-Amz-Security-Token",
            "X-Goog-Signature",
            "Signature",
            "Key-Pair-Id",
            "Policy",
            "sig",
            "token",
            "access_token",
        ]
    ),
    st.text(ALNUM + "%-_~.*/+", min_size=8, max_size=60),
    st.booleans(),
)
def test_the_signature_of_a_signed_url_is_hidden(name: str, value: str, first: bool) -> None:
    query = f"{name}={value}&x=1" if first else f"x=1&{name}={value}"
    told = redact(f"GET https://cdn.example.org/a/b?{query} failed")
    assert value not in told
    assert "https://cdn.example.org/a/b?" in told
    assert "x=1" in told


@given(st.text(ALNUM, min_size=1, max_size=10), st.text(ALNUM + ":!$&+@%", min_size=8, max_size=20))
def test_a_proxys_password_is_hidden_and_its_host_is_not(user: str, password: str) -> None:
    told = redact(f"cannot connect to http://{user}:{password}@proxy.example.org:3128/")
    assert f"{password}@" not in told
    assert "@proxy.example.org:3128/" in told


@given(st.text(ALNUM, min_size=12, max_size=30), st.recursive(prose, lambda inner: st.lists(inner) | st.tuples(inner)))
def test_a_configured_secret_is_hidden_whatever_it_looks_like_and_wherever_it_is(secret: str, rest: object) -> None:
    class Odd:
        def __repr__(self) -> str:
            return f"<Odd {secret}>"

    value = {"a": [f"x{secret}y", {secret: 1}, Odd(), secret.encode()], "rest": rest}
    assert secret not in repr(redact_value(value, also=[secret]))


@pytest.mark.parametrize("key", ["token", "password", "hub_token", "Authorization", "X-API-Key", "client_secret"])
def test_a_value_under_a_secrets_name_is_hidden_whatever_it_is(key: str) -> None:
    assert redact_value({"headers": {key: "anything"}}) == {"headers": {key: HIDDEN}}


@pytest.mark.parametrize(
    "text",
    [
        "send a gateway key as a bearer token",
        "Bearer tokens and Basic authentication",
        "hf_xet and hf_transfer are not used by hf_hub_download",
        'Bearer realm="hfproxy", Basic realm="hfproxy"',
        "models/acme/half_life at 10:30, see https://huggingface.co/docs?page=2",
    ],
)
def test_words_that_are_no_secrets_stay(text: str) -> None:
    assert redact(text) == text
