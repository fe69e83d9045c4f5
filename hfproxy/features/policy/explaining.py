"""Why a call is allowed or denied, rule by rule and in words: slow, and written down as the rules are read."""

from collections.abc import Iterator
from dataclasses import dataclass

from hfproxy.features.policy.globs import matches
from hfproxy.features.policy.matching import ANY, NONE, Asked, Decision, RuleSet, size_suits, split_pattern
from hfproxy.features.policy.models import Action, Rule


@dataclass(frozen=True, slots=True)
class Step:
    """One rule. means: whether it means the call; None: it may. why: the first thing that decides that."""

    rule: Rule
    means: bool | None
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    decision: Decision
    steps: list[Step]


def explain(rules: RuleSet, asked: Asked) -> Explanation:
    """The decision, and every rule up to the one that ends the question."""
    steps = []
    for rule in rules.rules:
        steps.append(step(rule, asked))
        if steps[-1].means:
            break
    return Explanation(rules.decide(asked), steps)


def step(rule: Rule, asked: Asked) -> Step:
    """Whether one rule means a call, and why."""
    findings = list(_findings(rule, asked))
    for wanted in (False, None):
        for means, why in findings:
            if means is wanted:
                return Step(rule, means, why)
    return Step(rule, True, "; ".join(why for _, why in findings) or "it means everything")


def _findings(rule: Rule, asked: Asked) -> Iterator[tuple[bool | None, str]]:
    if rule.actions is not None:
        yield asked.action in rule.actions, f"the action is {asked.action}"
    if rule.roles is not None:
        yield str(asked.role) in rule.roles, f"the role is {asked.role}"
    if rule.callers is not None:
        yield any(matches(glob, asked.caller) for glob in rule.callers), f"the caller is {asked.caller}"
    if rule.types is not None:
        unknown = asked.repo is ANY
        yield None if unknown else asked.type in rule.types, f"the type is {'not told' if unknown else asked.type}"
    if rule.repos is not None:
        yield _repo_suits(rule.repos, asked), f"the repository is {_named(asked.repo)}"
    if rule.licences is not None:
        yield _licence_suits(rule, asked)
    if rule.about_files and asked.file is NONE and rule.files is not None:
        permits = rule.effect.permits(asked.action)
        yield permits, "the call is about no file" + (", and some files are allowed" if permits else "")
    elif rule.files is not None:
        suits = None if asked.file is ANY else any(_file_suits(glob, str(asked.file)) for glob in rule.files)
        yield suits, f"the file is {_named(asked.file)}"
    if rule.about_size:
        yield _size_suits(rule, asked)


def _named(name: object) -> str:
    return "not told" if name is ANY else "none" if name is NONE else str(name)


def _repo_suits(patterns: tuple[str, ...], asked: Asked) -> bool | None:
    if asked.repo is ANY:
        return None
    if asked.repo is NONE:
        return False
    for pattern in patterns:
        repo_type, glob = split_pattern(pattern)
        if repo_type in {None, asked.type} and matches(glob, str(asked.repo)):
            return True
    return False


def _file_suits(glob: str, path: str) -> bool:
    return matches(glob.removeprefix("/"), path if "/" in glob else path.rpartition("/")[2])


def _licence_suits(rule: Rule, asked: Asked) -> tuple[bool | None, str]:
    assert rule.licences is not None
    if asked.action is not Action.READ:
        return False, "licences are about reading"
    if asked.licences is None:
        return None, "the licence is not known"
    told = asked.licences or ("none",)
    suiting = [any(matches(glob, licence) for glob in rule.licences) for licence in told]
    suits = all(suiting) if rule.effect.permits(asked.action) else any(suiting)
    return suits, f"the licence is {', '.join(told)}"


def _size_suits(rule: Rule, asked: Asked) -> tuple[bool | None, str]:
    if asked.file is ANY:
        return None, "the size is not told"
    if asked.size_bytes is not None:
        return size_suits(rule, asked.size_bytes), f"the size is {asked.size_bytes}"
    if asked.file is NONE:
        return rule.effect.permits(asked.action), "the call is about no file"
    return None, "the size is not known"
