"""Whatever comes in, the sandbox answers like a Hub: no failure of its own on any route."""

import inspect
import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfproxy.sandbox.routes import all_routes
from hfproxy.sandbox.routing import Route
from hfproxy.sandbox.server import Sandbox

from .conftest import ALICE, Call

EXAMPLES = 20
# The switches for trouble make it fail on purpose.
# A stream of events ends when its reader goes away.
ROUTES = [route for route in all_routes() if route.segments[:2] != ("-", "trouble") and route.segments[-1] != "events"]
_FILLED = {
    "{types}": "models",
    "{repo}": "alice/demo",
    "{repo.git}": "alice/demo.git",
    "{revision}": "main",
    "{status}": "pending",
    "{name}": "alice",
    "{owner}": "alice",
    "{num}": "1",
}
_ASKED = ("limit", "cursor", "p", "sort", "expand", "filter", "num_parameters", "type", "recursive", "create_pr")


def bodies_for(route: Route) -> st.SearchStrategy[str]:
    """JSON with the names that the handler's module speaks of, and values of every type under them."""
    names = sorted(set(re.findall(r'"(\w+)"', inspect.getsource(inspect.getmodule(route.handler) or route))))
    leaves = st.none() | st.booleans() | st.integers(-2, 2**40) | st.text(max_size=5) | st.sampled_from(["main", "é"])
    values = st.recursive(
        leaves
        | st.sampled_from(
            ["model", "space", "static", "demo", "alice/demo", "manual", "accepted", "http://localhost:1"]
        ),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(names or ["x"]), inner, max_size=4),
        max_leaves=10,
    )
    return st.dictionaries(st.sampled_from(names or ["x"]), values, max_size=12).map(json.dumps) | values.map(
        json.dumps
    )


queries = st.lists(
    st.tuples(
        st.sampled_from(_ASKED),
        st.text("abz019:,-_=&%é", max_size=6),
    ),
    max_size=3,
)


def path_of(route: Route) -> str:
    parts = [_FILLED.get(part, "x" if part.startswith("{") else part) for part in route.segments if part != "{web}"]
    return "/" + "/".join(parts)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {'/'.join(route.segments)}")
async def test_no_input_makes_it_fail(sandbox: Sandbox, call: Call, route: Route) -> None:
    statuses: list[tuple[int, Any]] = []
    drawn: list[tuple[str, list[tuple[str, str]]]] = []

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(bodies_for(route), queries)
    def draw(body: str, query: list[tuple[str, str]]) -> None:
        drawn.append((body, query))

    draw()
    for body, query in drawn:
        await call("POST", "/api/repos/create", ALICE, json={"name": "demo"})
        await call("POST", "/api/repos/create", ALICE, json={"name": "demo", "type": "space", "sdk": "static"})
        await call("POST", "/api/models/alice/demo/discussions", ALICE, json={"title": "x", "pullRequest": True})
        path = f"{path_of(route)}?{urlencode(query)}"
        answer = await call(route.method, path, ALICE, data=body.encode(), headers={"Content-Type": "application/json"})
        statuses.append((answer.status, (path, body, answer.body[:200])))
    assert [each for each in statuses if each[0] >= 500] == []
