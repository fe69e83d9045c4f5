"""What a call demands of the rules hangs on its row in `upstream/calls.py`, and on the worst where it has none."""

import pytest

from hfproxy.features.policy.matching import ANY, NONE
from hfproxy.features.policy.models import Action
from hfproxy.features.policy.roads import Demand, demands
from hfproxy.features.policy.service import ANY_REPO, NO_REPO, Subject
from hfproxy.upstream.refs import RepoRef, RepoType
from hfproxy.upstream.routes import classify

DEMO = Subject.of(RepoRef.parse(RepoType.MODEL, "acme/demo"))


@pytest.mark.parametrize(
    ("method", "target", "demand"),
    [
        ("GET", "/api/models/acme/demo/not-known-yet", Demand(Action.READ, DEMO, ANY)),
        ("POST", "/api/models/acme/demo/not-known-yet", Demand(Action.WRITE, DEMO, ANY)),
        ("GET", "/api/not-known-yet", Demand(Action.READ, ANY_REPO, ANY)),
        ("POST", "/api/not-known-yet", Demand(Action.WRITE, ANY_REPO, ANY)),
    ],
)
def test_a_call_without_a_row_is_taken_for_what_could_do_most(method: str, target: str, demand: Demand) -> None:
    assert demands(method, target, classify(method, target)) == [demand]


@pytest.mark.parametrize(
    ("method", "target", "demand"),
    [
        ("GET", "/api/models/acme/demo/refs", Demand(Action.READ, DEMO, NONE)),
        ("POST", "/api/models/acme/demo/tag/v1", Demand(Action.WRITE, DEMO, NONE)),
        ("PUT", "/api/models/acme/demo/Settings", Demand(Action.MANAGE, DEMO)),
        ("POST", "/api/models/acme/demo/discussions/1/comment", Demand(Action.DISCUSS, DEMO)),
        ("POST", "/api/models/acme/demo/discussions/1/merge", Demand(Action.WRITE, DEMO, ANY)),
        ("POST", "/acme/demo/ask-access", Demand(Action.MANAGE, DEMO)),
        ("GET", "/api/trending", Demand(Action.LIST, NO_REPO)),
        # A branch may have the name of a verb; so may what follows a name that is one segment.
        ("GET", "/acme/demo/blob/settings/x.pkl", Demand(Action.READ, DEMO, "x.pkl")),
        ("GET", "/acme%2Fdemo/blob/settings/x.pkl", Demand(Action.READ, DEMO, "x.pkl")),
    ],
)
def test_a_row_says_what_a_call_tells_and_changes(method: str, target: str, demand: Demand) -> None:
    assert demands(method, target, classify(method, target)) == [demand]
