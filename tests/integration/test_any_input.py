"""Whatever is sent to the gateway's own paths: it is done or refused in so many words, and never a failure of ours."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.threaded import Answer, ThreadedGateway, threaded_gateway

WRITES = ["POST", "PUT", "DELETE"]
FIELDS = {
    "POST": "type name organization private visibility gated exist_ok sdk template hardware sleepTimeSeconds secrets "
    "variables license resourceGroupId region",
    "PUT": "type namespace private visibility gated move",
    "DELETE": "type name organization",
}
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
# What is right or nearly so, for each field.
_WORDS = [
    "model",
    "datasets",
    "space",
    "kernels",
    "demo",
    "alice/demo",
    "acme/demo",
    "acme",
    "bob/demo",
    "public",
    "private",
    "protected",
    "auto",
    "manual",
    "static",
    "docker",
    "us",
    "mit",
    "a/b/c",
    "-a",
    "a..b",
    "ä",
]
likely = st.sampled_from([*_WORDS, "a" * 97, "\0", ""]) | st.sampled_from(
    [True, False, None, 0, -1, 3600, [], {}, [{"key": "K", "value": "v"}], [{"key": ""}]]
)

_HEADERS = [
    "Authorization",
    "X-API-Key",
    "X-Request-Id",
    "Accept",
    "Content-Type",
    "Cookie",
    "Origin",
    "Referer",
    "Range",
    "X-Forwarded-For",
    "Forwarded",
    "If-None-Match",
    "Sec-Fetch-Site",
    "Content-Encoding",
    "X-Amzn-Trace-Id",
]

fuzzed = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedGateway]:
    with threaded_gateway(tmp_path_factory.mktemp("kept")) as running:
        yield running


def check(answer: Answer) -> Any:
    """That the answer is JSON and either good or a refusal that says why; gives what it says."""
    assert answer.status < 500, answer
    told = json.loads(answer.body)
    if answer.status >= 400:
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert told["status"] == answer.status
        assert told["code"]
        assert told["detail"]
    if answer.status == 422:
        assert told["code"] == "HubRefused" or told["errors"]
        assert all(error["field"] and error["message"] for error in told.get("errors", ()))
    return told


@pytest.mark.parametrize("method", WRITES)
@fuzzed
@given(body=anything)
def test_any_json(gateway: ThreadedGateway, method: str, body: Any) -> None:
    answer = gateway.ask(method, "/api/repo", json.dumps(body).encode())
    check(answer)
    assert answer.status in {400, 422}


@pytest.mark.parametrize("method", WRITES)
@fuzzed
@given(body=st.binary(max_size=200))
def test_any_bytes(gateway: ThreadedGateway, method: str, body: bytes) -> None:
    check(gateway.ask(method, "/api/repo", body))


@pytest.mark.parametrize("method", WRITES)
@fuzzed
@given(data=st.data())
def test_nearly_right_fields(gateway: ThreadedGateway, method: str, data: st.DataObject) -> None:
    names = st.sampled_from(FIELDS[method].split())
    body = data.draw(st.dictionaries(names, likely, max_size=6))
    given_first = {"type": "model", "namespace" if method == "PUT" else "name": "alice/demo"}
    told = check(gateway.ask(method, "/api/repo", json.dumps({**given_first, **body}).encode()))
    if "code" not in told:
        assert told["id"].count("/") == 1
        assert told["url"].endswith(told["id"])


@fuzzed
@given(
    query=st.lists(
        st.tuples(st.sampled_from(["type", "name", "organization", "x"]), st.text(max_size=12) | st.just("model"))
    )
)
def test_any_query_of_a_deletion(gateway: ThreadedGateway, query: list[tuple[str, str]]) -> None:
    check(gateway.ask("DELETE", f"/api/repo?{urlencode(query)}"))


@pytest.mark.parametrize("path", ["/api/repo", "/-/audit", "/api/account"])
@fuzzed
@given(
    query=st.lists(
        st.tuples(
            st.sampled_from(["type", "owner", "search", "limit", "repo", "since", "until", "cursor", "outcome", "x"]),
            st.text(max_size=12) | st.sampled_from(["model", "alice", "10", "0", "2026-01-01", "done", "9" * 30]),
        ),
        max_size=4,
    )
)
def test_any_query_of_a_list(gateway: ThreadedGateway, path: str, query: list[tuple[str, str]]) -> None:
    check(gateway.ask("GET", f"{path}?{urlencode(query)}"))


@fuzzed
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"]),
    prefix=st.sampled_from(["/-/", "/api/repo/", "/api/account/", "/docs/", "/api/repo%2F", "/-%2F"]),
    rest=st.text(max_size=20),
)
def test_any_path_and_method(gateway: ThreadedGateway, method: str, prefix: str, rest: str) -> None:
    answer = gateway.ask(method, prefix + quote(rest.encode("utf-8", "surrogatepass")))
    assert answer.status < 500, answer


@fuzzed
@given(
    name=st.sampled_from(_HEADERS),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60),
    scheme=st.sampled_from(["", "Bearer ", "Basic "]),
)
def test_any_header(gateway: ThreadedGateway, name: str, value: str, scheme: str) -> None:
    assume(value == value.strip())
    check(gateway.ask("POST", "/api/repo", b"{}", **{name.replace("-", "_"): scheme + value}))
