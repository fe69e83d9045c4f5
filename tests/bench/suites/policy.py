"""The policy: how long one decision takes with a thousand rules."""

import random
import time
from collections.abc import Callable
from typing import Any

from hfproxy.downstream.access import Role
from hfproxy.features.policy.explaining import step
from hfproxy.features.policy.matching import ANY, Asked, RuleSet
from hfproxy.features.policy.models import Action, PolicyText
from tests.bench.effort import Effort
from tests.bench.reports import Report, Table
from tests.bench.rounds import interleaved, middle

_RULES = 1000
_DECISIONS = 20_000
_BOUND_US = 50
Times = tuple[float, float]


def policy(effort: Effort) -> Report:
    """Time of one decision with a thousand rules, against reading them one by one."""
    kinds = {
        "repositories by owner": _by_owner,
        "repositories by name": _by_name,
        "files": _by_file,
        "all kinds": _mixed,
    }
    sets = {name: RuleSet(_policy(make)) for name, make in kinds.items()}
    cells: dict[str, Callable[[], Times]] = {}
    for name, rules in sets.items():
        cells[f"{name}: never asked before"] = lambda rules=rules: _timed(rules.decide, _fresh)  # type: ignore[misc]
        cells[f"{name}: of 50 repositories"] = lambda rules=rules: _timed(rules.decide, _again)  # type: ignore[misc]
    mixed = sets["all kinds"]
    cells["all kinds: one rule after the other"] = lambda: _timed(
        lambda asked: next(rule for rule in mixed.rules if step(rule, asked).means), _again, count=200
    )
    results = interleaved(cells, rounds=max(effort.rounds, 3))
    figures = {
        name: (middle(each, lambda one: one[0]), middle(each, lambda one: one[1])) for name, each in results.items()
    }
    worst = max(p99 for name, (_, p99) in figures.items() if "one rule" not in name)
    return Report(
        name="policy",
        title="The policy",
        method=f"{_RULES:,} rules, none of which means the call, so that all count; {_DECISIONS:,} decisions a round, "
        "each timed alone. What was never asked before are a repository and a file of their own in each call.",
        findings=[
            f"At p99 a decision takes at most {worst:.0f} µs (bound: {_BOUND_US} µs), whatever the rules are about."
        ],
        tables=[
            Table(
                ["", "median, µs", "p99, µs"],
                [[name, f"{median:.1f}", f"{p99:.1f}"] for name, (median, p99) in figures.items()],
            )
        ],
    )


def _timed(decide: Callable[[Asked], object], ask: Callable[[int], Asked], count: int = _DECISIONS) -> Times:
    spent = []
    for number in range(count):
        asked = ask(number)
        begun = time.perf_counter_ns()
        decide(asked)
        spent.append(time.perf_counter_ns() - begun)
    spent.sort()
    return spent[count // 2] / 1000, spent[count * 99 // 100] / 1000


def _fresh(number: int) -> Asked:
    salt = time.perf_counter_ns()
    file = ANY if number % 10 == 0 else f"part/model-{salt}.bin"
    return Asked(
        f"key:team-{number % 200}", Role.READER, Action.READ, "model", f"owner{salt}/model-{salt}", file, 10, ("mit",)
    )


def _again(number: int) -> Asked:
    place = number % 50
    repo, file = f"owner{place}/m{place}", f"m{place}.bin"
    return Asked(f"key:team-{number % 200}", Role.READER, Action.READ, "model", repo, file, 10, ("mit",))


def _policy(make: Callable[[int], dict[str, Any]]) -> PolicyText:
    rng = random.Random(1)
    rules = [
        {"name": f"r{number}", "effect": rng.choice(["allow", "read-only"]), **make(number)} for number in range(_RULES)
    ]
    return PolicyText.model_validate({"default": "deny", "rule": rules})


def _by_owner(number: int) -> dict[str, Any]:
    return {"repos": [f"org{number}/*"]}


def _by_name(number: int) -> dict[str, Any]:
    return {"repos": [f"*/n{number}-*", f"o*{number}/x"]}


def _by_file(number: int) -> dict[str, Any]:
    return {"files": [f"*.x{number}", f"dir{number}/**", f"w{number}-of-*.bin"]}


def _mixed(number: int) -> dict[str, Any]:
    kinds = [_by_owner, _by_owner, _by_owner, _by_name, _by_file]
    if number % 10 == 8:
        return {"callers": [f"other-{number}-*"], "larger_than": "10GiB"}
    if number % 10 == 9:
        return {"licences": [f"licence-{number}*"], "types": ["model"]}
    return kinds[number % 5](number)
