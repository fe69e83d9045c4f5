"""The matcher decides as a reader of the file would, and in the worst case where something is unknown."""

from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hfproxy.downstream.access import Role
from hfproxy.features.policy.explaining import explain, step
from hfproxy.features.policy.matching import ANY, NONE, Asked, RuleSet
from hfproxy.features.policy.models import Action, Effect, PolicyText

CALLERS = ["key:ci", "key:ci-2", "key:anonymous", "hub-token:ab12", "anonymous"]
REPOS = ["acme/demo", "acme/public-1", "evil/demo", "evil/public-1", "gpt2"]
FILES = ["model.safetensors", "a/model.pkl", "model.pkl", "a/b/config.json", "README.md"]
LICENCES = ["mit", "apache-2.0", "cc-by-nc-4.0", "none"]
SIZES = [0, 10, 11, 5000]
TYPES = ["model", "dataset", "bucket"]


def some(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=2).map(tuple)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    given = {
        "effect": draw(st.sampled_from([effect.value for effect in Effect])),
        "callers": draw(some(["*", "anonymous", "ci", "ci-*", "hub-token", "key:*", "hub-token:a*"])),
        "roles": draw(some(["none", "reader", "writer", "admin"])),
        "actions": draw(some([action.value for action in Action])),
        "types": draw(some(TYPES)),
        "repos": draw(
            some(["acme/*", "acme/demo", "*/public-*", "models/gpt2", "datasets/*/*", "*/*", "e*/*", "buckets/acme/*"])
        ),
        "files": draw(some(["*.pkl", "**/*.pkl", "/model.pkl", "a/**", "README.md", "*.saf*", "?odel.pkl"])),
        "licences": draw(some(["mit", "cc-*", "none", "*"])),
        "larger_than": draw(st.none() | st.sampled_from(SIZES)),
        "at_most": draw(st.none() | st.sampled_from(SIZES)),
    }
    if given["licences"] is not None and draw(st.booleans()):
        given["licences"] = None
    if given["licences"] is not None:
        given["actions"] = draw(st.sampled_from([None, ("read",)]))
    return {name: value for name, value in given.items() if value is not None}


@st.composite
def policies(draw: st.DrawFn) -> PolicyText:
    entries = draw(st.lists(rules(), max_size=5))
    return PolicyText.model_validate(
        {
            "default": draw(st.sampled_from(["allow", "deny"])),
            "rule": [{"name": f"r{place}", **entry} for place, entry in enumerate(entries)],
        }
    )


@st.composite
def questions(draw: st.DrawFn) -> Asked:
    repo = draw(st.sampled_from([*REPOS, NONE, ANY]))
    return Asked(
        draw(st.sampled_from(CALLERS)),
        draw(st.sampled_from(list(Role))),
        draw(st.sampled_from(list(Action))),
        draw(st.sampled_from(TYPES)) if isinstance(repo, str) else None,
        repo,
        draw(st.sampled_from([*FILES, NONE, ANY])),
        draw(st.none() | st.sampled_from(SIZES)),
        draw(st.none() | st.lists(st.sampled_from(LICENCES), max_size=2, unique=True).map(tuple)),
    )


@settings(max_examples=300, deadline=None)
@given(policies(), questions())
def test_the_decision_is_the_worst_of_all_that_may_be(policy: PolicyText, asked: Asked) -> None:
    rule_set = RuleSet(policy)
    steps = [step(rule, asked) for rule in rule_set.rules]
    unknown = [place for place, one in enumerate(steps) if one.means is None]
    outcomes = set()
    for world in product([True, False], repeat=len(unknown)):
        settled = dict(zip(unknown, world, strict=True))
        first = next(one for place, one in enumerate(steps) if settled.get(place, one.means))
        outcomes.add(first.rule.effect.permits(asked.action))
    decision = rule_set.decide(asked)
    assert decision.allowed == all(outcomes)
    assert decision.sure == (len(outcomes) == 1)
    if decision.sure and not unknown:
        assert decision.rule == next(one for one in steps if one.means).rule


@settings(deadline=None)
@given(policies(), questions())
def test_what_is_learnt_never_turns_a_yes_into_a_no(policy: PolicyText, asked: Asked) -> None:
    rule_set = RuleSet(policy)
    if not rule_set.decide(asked).allowed:
        return
    for size_bytes, licences in product(SIZES, [(), ("mit",), ("mit", "cc-by-nc-4.0")]):
        if isinstance(asked.file, str) and asked.size_bytes is None and asked.licences is None:
            assert rule_set.decide(asked._replace(size_bytes=size_bytes, licences=licences)).allowed


@settings(deadline=None)
@given(policies(), questions())
def test_an_explanation_ends_with_the_rule_that_surely_means_the_call(policy: PolicyText, asked: Asked) -> None:
    explained = explain(RuleSet(policy), asked)
    assert explained.steps[-1].means is True
    assert all(one.means is not True for one in explained.steps[:-1])
