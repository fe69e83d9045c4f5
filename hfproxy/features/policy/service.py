"""May this caller do this, to this repository, with this file? The one place that asks the rules."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from hfproxy.downstream.access import Caller
from hfproxy.errors import HubRefused, PolicyDenied
from hfproxy.facts import note
from hfproxy.features.policy.facts import KnowsRepos
from hfproxy.features.policy.matching import ANY, NONE, Asked, Decision, RuleSet, Unnamed
from hfproxy.features.policy.models import Action, PolicyText
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import RepoRef

SizeOf = Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a call is about. ref: None for buckets, and where there is no repository or which one is not told."""

    type: str | None
    repo: str | Unnamed
    ref: RepoRef | None = None

    @classmethod
    def of(cls, ref: RepoRef) -> "Subject":
        return cls(ref.repo_type.value, ref.folded.repo_id, ref)

    @classmethod
    def bucket(cls, name: str) -> "Subject":
        return cls("bucket", name.casefold())


NO_REPO: Final = Subject(None, NONE)
ANY_REPO: Final = Subject(None, ANY)


def caller_of(caller: Caller) -> str:
    """How rules name a caller."""
    if caller.kind == "key":
        return f"key:{caller.name}"
    return f"hub-token:{caller.id}" if caller.kind == "hub_token" else "anonymous"


class Policy:
    """The rules that hold now. Without a file every question costs one comparison.

    version: a decision is good for as long as this stays the same, and as the facts that it hangs on.
    """

    def __init__(self, *, facts: KnowsRepos, denied: Callable[[str], None] = lambda _rule: None) -> None:
        self._facts, self._denied = facts, denied
        self._rules: RuleSet | None = None
        self.version = 0

    @property
    def rules(self) -> RuleSet | None:
        """None where everything is allowed."""
        return self._rules

    def replace(self, policy: PolicyText) -> None:
        """Lets these rules hold from now on."""
        self._rules = RuleSet(policy) if policy.rule or policy.default != "allow" else None
        self.version += 1

    async def require(
        self,
        caller: Caller,
        action: Action,
        subject: Subject | RepoRef,
        *,
        credential: Credential,
        file: str | Unnamed = NONE,
        size_bytes: int | None = None,
        size_of: SizeOf | None = None,
    ) -> None:
        """Passes if the rules allow it. Raises PolicyDenied, and UpstreamError where they hang on what cannot be asked.

        file: the path that is read or written; NONE for what is told or done besides files (repository info, trees);
        ANY where files are meant and which is not told: that is refused where any rule on files could bite. size_of:
        tells the file's size, if a rule wants it.
        """
        if self._rules is None:
            return
        subject = subject if isinstance(subject, Subject) else Subject.of(subject)
        decision = await self._decide(caller, action, subject, credential, file, size_bytes, size_of)
        if not decision.allowed:
            raise self._refusal(decision, action, file)

    async def allows(
        self,
        caller: Caller,
        action: Action,
        subject: Subject | RepoRef,
        *,
        credential: Credential,
        file: str | Unnamed = NONE,
        size_bytes: int | None = None,
    ) -> bool:
        """Whether the rules allow it; for deciding what to offer. Raises UpstreamError."""
        if self._rules is None:
            return True
        subject = subject if isinstance(subject, Subject) else Subject.of(subject)
        return (await self._decide(caller, action, subject, credential, file, size_bytes, None)).allowed

    def recall_file(self, caller: Caller, ref: RepoRef, path: str, size_bytes: int, credential: Credential) -> bool:
        """Whether this file may be read, if that is known at once; False: no, or ask `require`. For the quick way."""
        rules = self._rules
        if rules is None:
            return True
        facts = self._facts.recall(ref, credential)
        if facts is None and (rules.about_repos or rules.about_licences):
            return False
        asked = self._asked(caller, Action.READ, Subject.of(ref), path, size_bytes)
        if facts is not None:
            asked = asked._replace(licences=facts.licences)
        if not rules.decide(asked).allowed:
            return False
        return facts is None or facts.repo == asked.repo or rules.decide(asked._replace(repo=facts.repo)).allowed

    def _asked(
        self, caller: Caller, action: Action, subject: Subject, file: str | Unnamed, size_bytes: int | None
    ) -> Asked:
        return Asked(caller_of(caller), caller.role, action, subject.type, subject.repo, file, size_bytes)

    async def _decide(
        self,
        caller: Caller,
        action: Action,
        subject: Subject,
        credential: Credential,
        file: str | Unnamed,
        size_bytes: int | None,
        size_of: SizeOf | None,
    ) -> Decision:
        rules = self._rules
        assert rules is not None
        asked = self._asked(caller, action, subject, file, size_bytes)
        decision = rules.decide(asked)
        if "licences" in decision.wants:
            licences = (await self._facts.about(subject.ref, credential)).licences if subject.ref is not None else ()
            asked = asked._replace(licences=licences)
            decision = rules.decide(asked)
        if "size" in decision.wants and size_of is not None:
            asked = asked._replace(size_bytes=await size_of())
            decision = rules.decide(asked)
        if decision.allowed and rules.about_repos and subject.ref is not None and action is not Action.CREATE:
            # A repository that was moved answers to its old name: both must be allowed.
            real = await self._real_name(subject.ref, credential)
            if real != asked.repo:
                decision = rules.decide(asked._replace(repo=real))
        return decision

    async def _real_name(self, ref: RepoRef, credential: Credential) -> str:
        try:
            return (await self._facts.about(ref, credential)).repo
        except HubRefused:
            return ref.folded.repo_id  # nothing that this credential can see: the call itself will hear so too

    def _refusal(self, decision: Decision, action: Action, file: str | Unnamed) -> PolicyDenied:
        rule = decision.rule
        note(policy_rule=rule.name)
        self._denied(rule.name)
        return PolicyDenied(refusal_text(decision, action, file), rule=rule.name, reading=action is Action.READ)


def refusal_text(decision: Decision, action: Action, file: str | Unnamed) -> str:
    """What the caller is told: the rule's reason, its name, and what to do where the call itself was too vague."""
    rule = decision.rule
    if rule.reason is not None:
        said = rule.reason.rstrip(".")
    elif rule.name == "default":
        said = f"no rule of this gateway allows this ({action.value})"
    elif rule.effect.value == "read-only":
        said = "this may be read here, and not changed"
    else:
        said = f"this gateway does not let this pass ({action.value})"
    told = f"{said} (policy rule: {rule.name})"
    if decision.sure or file is not ANY:
        return told
    return f"{told}. The rule is about some files, and this call does not say which it means; ask for files one by one"
