"""Which rule decides, in microseconds however many there are.

Each rule is a bit. For each thing that is known of a call an index gives the bits of the rules that it suits; what is
left of all of them together are the rules that mean the call, and the lowest bit is the first.

What is not known is not guessed: a rule that hangs on it may or may not mean the call, and the decision is the one that
is right in the worst case. A rule that may deny, denies; one that may allow, is passed over.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from hfproxy.downstream.access import Role
from hfproxy.features.policy.globs import GlobIndex
from hfproxy.features.policy.models import Action, PolicyText, Rule, default_rule
from hfproxy.upstream.refs import BUCKETS

NO_LICENCE: Final = ("none",)
_MOST_REMEMBERED = 4096


class Unnamed(Enum):
    """What stands where a name would: there is `NONE`, or it may be `ANY`, since the call does not tell."""

    NONE = "none"
    ANY = "any"


NONE: Final = Unnamed.NONE
ANY: Final = Unnamed.ANY


class Asked(NamedTuple):
    """One call, as rules see it.

    caller: `key:NAME`, `hub-token:FINGERPRINT` or `anonymous`. type: of the repository, None where there is none. repo:
    its folded id; NONE for calls about no repository. file: its path; NONE for what is told or done besides files; ANY
    where files are meant and which is not told, as in a git pack. licences: what the Hub says; None: not asked yet.
    """

    caller: str
    role: Role
    action: Action
    type: str | None
    repo: str | Unnamed
    file: str | Unnamed = NONE
    size_bytes: int | None = None
    licences: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules say. sure: False where the rule only may mean the call, and is taken for the worst case.

    wants: what would have to be known to be sure: `licences`, `size`.
    """

    allowed: bool
    rule: Rule
    sure: bool = True
    wants: frozenset[str] = frozenset()


class RuleSet:
    """Compiled rules; never changed."""

    def __init__(self, policy: PolicyText) -> None:
        self.rules: Sequence[Rule] = (*policy.rule, default_rule(policy.default, policy.reason))
        rules = list(enumerate(self.rules))
        self._all = (1 << len(rules)) - 1
        self._permits = {
            action: _bits(index for index, rule in rules if rule.effect.permits(action)) for action in Action
        }
        self._for_action = {action: _bits(i for i, rule in rules if _about(rule, action)) for action in Action}
        self._for_role = {
            role: _bits(i for i, rule in rules if rule.roles is None or str(role) in rule.roles) for role in Role
        }
        self._callers = _Dimension((i, rule.callers) for i, rule in rules)
        self._types = _Dimension((i, rule.types) for i, rule in rules)
        self._licences = _Dimension((i, rule.licences) for i, rule in rules)
        self._repos = _Repos((i, rule.repos) for i, rule in rules)
        self._files = _Files((i, rule.files) for i, rule in rules)
        self._sizes = _Sizes((i, rule) for i, rule in rules if rule.about_size)
        self._unsized = self._all & ~_bits(i for i, rule in rules if rule.about_size)
        self.about_repos = any(rule.repos is not None for rule in self.rules)
        self.about_files = any(rule.about_files for rule in self.rules)
        self.about_licences = any(rule.licences is not None for rule in self.rules)

    def decide(self, asked: Asked) -> Decision:
        """What the rules say of a call; where something is unknown, what is right in the worst case."""
        caller, role, action, repo_type, repo, file, size_bytes, licences = asked
        known = self._for_action[action] & self._for_role[role] & self._callers.bits(caller)
        permits = self._permits[action]
        if repo is ANY:
            possible, known = known, known & self._repos.free & self._types.free
        else:
            known &= self._types.bits(repo_type) if repo_type is not None else self._types.free
            known &= self._repos.bits(repo_type, repo) if isinstance(repo, str) else self._repos.free
            possible = known
        open_to = 0
        if file is NONE:
            # Who may read some file of a repository may see what is said of it; one that is denied denies no other.
            visible = self._files.free | permits
            if size_bytes is None:
                visible &= self._unsized | permits
            else:
                visible &= self._unsized | self._sizes.bits(size_bytes)
            known, possible = known & visible, possible & visible
        elif file is ANY:
            known &= self._files.free & self._unsized
        else:
            suits = self._files.bits(file)
            known, possible = known & suits, possible & suits
            if size_bytes is None:
                open_to |= possible & ~self._unsized
                known &= self._unsized
            else:
                suits = self._unsized | self._sizes.bits(size_bytes)
                known, possible = known & suits, possible & suits
        wants_licences = 0
        if action is Action.READ and self._licences.free != self._all:
            if licences is None:
                wants_licences = possible & ~self._licences.free
                known &= self._licences.free
            else:
                suits = self._suiting_licences(licences, permits)
                known, possible = known & suits, possible & suits
        first = known & -known
        first_permits = bool(first & permits)
        between = possible & ~known & (first - 1)
        if not between:
            return Decision(first_permits, self.rules[first.bit_length() - 1])
        denying, allowing = between & ~permits, between & permits
        worst = (denying & -denying) or first
        rule = self.rules[worst.bit_length() - 1]
        if not (denying if first_permits else allowing):
            return Decision(first_permits, rule)  # whichever of them means it, they say the same
        wants = frozenset(
            what for what, hanging in (("licences", wants_licences), ("size", open_to)) if between & hanging
        )
        return Decision(False, rule, sure=False, wants=wants)

    def _suiting_licences(self, licences: tuple[str, ...], permits: int) -> int:
        """Of several licences one is enough to deny; to allow, all must suit."""
        every, some = self._all, 0
        for licence in licences or NO_LICENCE:
            bits = self._licences.bits(licence)
            every, some = every & bits, some | bits
        return (every & permits) | (some & ~permits)


def size_suits(rule: Rule, size_bytes: int) -> bool:
    """Whether a file of this size is one that the rule means."""
    if rule.larger_than is not None and size_bytes <= rule.larger_than:
        return False
    return rule.at_most is None or size_bytes <= rule.at_most


def _about(rule: Rule, action: Action) -> bool:
    if rule.licences is not None and action is not Action.READ:
        return False
    return rule.actions is None or action in rule.actions


def _bits(indexes: Iterable[int]) -> int:
    found = 0
    for index in indexes:
        found |= 1 << index
    return found


class _Dimension:
    """Rules by the globs that one of their keys holds. free: those that do not have it."""

    def __init__(self, conditions: Iterable[tuple[int, Sequence[str] | None]]) -> None:
        self.free = 0
        globs: list[tuple[str, int]] = []
        for index, given in conditions:
            if given is None:
                self.free |= 1 << index
            else:
                globs += [(glob, 1 << index) for glob in given]
        self._index = GlobIndex(globs) if globs else None
        self._remembered: dict[str, int] = {}

    def bits(self, text: str) -> int:
        if self._index is None:
            return self.free
        found = self._remembered.get(text)
        if found is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[text] = self.free | self._index.bits(text.casefold())
        return found


class _Sizes:
    """Rules by the sizes of files that they mean: between two bounds that rules name, they are always the same."""

    def __init__(self, rules: Iterable[tuple[int, Rule]]) -> None:
        sized = list(rules)
        named = {int(size) for _, rule in sized for size in (rule.larger_than, rule.at_most) if size is not None}
        # Sizes from one bound on, up to the next, suit the same rules.
        self._bounds = sorted({0, *(size + 1 for size in named)})
        self._suiting = [_bits(i for i, rule in sized if size_suits(rule, bound)) for bound in self._bounds]

    def bits(self, size_bytes: int) -> int:
        return self._suiting[max(0, bisect_right(self._bounds, size_bytes) - 1)]


class _Repos:
    """Rules by the repositories that they mean: found by owner, then by name."""

    def __init__(self, conditions: Iterable[tuple[int, Sequence[str] | None]]) -> None:
        self.free = 0
        by_type: dict[str | None, list[tuple[str, int]]] = {}
        by_name: dict[str | None, list[tuple[str, int]]] = {}
        for index, given in conditions:
            if given is None:
                self.free |= 1 << index
                continue
            for pattern in given:
                repo_type, glob = split_pattern(pattern)
                owner, _, name = glob.rpartition("/")
                place = by_name if owner == "*" else by_type
                place.setdefault(repo_type, []).append((name if owner == "*" else glob, 1 << index))
        self._whole = {repo_type: GlobIndex(globs) for repo_type, globs in by_type.items()}
        self._names = {repo_type: GlobIndex(globs) for repo_type, globs in by_name.items()}
        self._remembered: dict[tuple[str | None, str], int] = {}

    def bits(self, repo_type: str | None, repo: str) -> int:
        if not self._whole and not self._names:
            return self.free
        found = self._remembered.get((repo_type, repo))
        if found is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[repo_type, repo] = self.free | self._find(repo_type, repo)
        return found

    def _find(self, repo_type: str | None, repo: str) -> int:
        found = 0
        owner, _, name = repo.rpartition("/")
        for kind in (None, repo_type):
            if (whole := self._whole.get(kind)) is not None:
                found |= whole.bits(repo)
            if owner and (names := self._names.get(kind)) is not None:
                found |= names.bits(name)
        return found


class _Files:
    """Rules by the files that they mean: by the last part of the path, or by all of it where the glob has a slash."""

    def __init__(self, conditions: Iterable[tuple[int, Sequence[str] | None]]) -> None:
        self.free = 0
        names: list[tuple[str, int]] = []
        paths: list[tuple[str, int]] = []
        for index, given in conditions:
            if given is None:
                self.free |= 1 << index
                continue
            for glob in given:
                (paths if "/" in glob else names).append((glob.removeprefix("/"), 1 << index))
        self._names = GlobIndex(names) if names else None
        self._paths = GlobIndex(paths) if paths else None
        self._remembered: dict[str, int] = {}

    def bits(self, path: str) -> int:
        if self._names is None and self._paths is None:
            return self.free
        found = self._remembered.get(path)
        if found is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            folded = path.casefold()
            found = self.free
            if self._names is not None:
                found |= self._names.bits(folded.rpartition("/")[2])
            if self._paths is not None:
                found |= self._paths.bits(folded)
            self._remembered[path] = found
        return found


def split_pattern(pattern: str) -> tuple[str | None, str]:
    """The type that a pattern for repositories names, and its glob: `datasets/acme/*` → `dataset`, `acme/*`."""
    first, _, rest = pattern.casefold().partition("/")
    if first + "/" == BUCKETS:
        return "bucket", rest
    if rest and first in {"models", "datasets", "spaces", "kernels"}:
        return first.removesuffix("s"), rest
    return None, pattern.casefold()
