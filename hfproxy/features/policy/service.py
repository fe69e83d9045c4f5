"""May this caller do this, to this repository, with this file? The one place that asks the rules."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from hfproxy.downstream.access import Caller
from hfproxy.errors import HubRefused, PolicyDenied
from hfproxy.facts import note
from hfproxy.features.policy.explaining import Explanation, explain
from hfproxy.features.policy.facts import KnowsRepos
from hfproxy.features.policy.matching import ANY, NONE, Asked, Decision, RuleSet, Unnamed
from hfproxy.features.policy.models import Action, PolicyText
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import BucketRef, HubRef, RepoRef

SizeOf = Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a call is about. ref: None where there is no repository or bucket, or which one is not told."""

    type: str | None
    repo: str | Unnamed
    ref: HubRef | None = None

    @classmethod
    def of(cls, ref: HubRef) -> "Subject":
        if isinstance(ref, BucketRef) and ref.is_of_who_asks:
            return ANY_REPO  # whose it is was not told
        return cls(ref.kind, ref.folded.repo_id, ref)

    @classmethod
    def bucket(cls, name: str) -> "Subject":
        """One that somebody wonders about; the Hub is not asked about it."""
        return cls("bucket", name.casefold())


_OWNED_BY_WHO_ASKS = frozenset({Action.CREATE, Action.DELETE})
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

    def __init__(
        self,
        *,
        facts: KnowsRepos,
        owner_of: Callable[[Credential], Awaitable[str | None]],
        denied: Callable[[str], None] = lambda _rule: None,
    ) -> None:
        """owner_of: the account behind a credential. denied: told the name of each rule that denies something."""
        self._facts, self._owner_of, self._denied = facts, owner_of, denied
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
        subject: Subject | HubRef,
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
        decision = await self._decide(caller, action, subject, credential, file, size_bytes, size_of)
        if not decision.allowed:
            raise self._refusal(decision, action, file)

    async def allows(
        self,
        caller: Caller,
        action: Action,
        subject: Subject | HubRef,
        *,
        credential: Credential,
        file: str | Unnamed = NONE,
        size_bytes: int | None = None,
    ) -> bool:
        """Whether the rules allow it; for deciding what to offer. Raises UpstreamError."""
        if self._rules is None:
            return True
        return (await self._decide(caller, action, subject, credential, file, size_bytes, None)).allowed

    def require_now(
        self,
        caller: Caller,
        action: Action,
        subject: Subject,
        *,
        file: str | Unnamed = NONE,
        size_bytes: int | None = None,
    ) -> None:
        """Passes unless the rules deny it whatever the licence is; nothing is asked. Raises PolicyDenied."""
        if self._rules is None:
            return
        decision = self._rules.decide(self._asked(caller, action, subject, file, size_bytes))
        if not decision.allowed and "licences" not in decision.wants:
            raise self._refusal(decision, action, file)

    async def withholds(
        self, caller: Caller, ref: HubRef, path: str, size_bytes: int | None, *, credential: Credential
    ) -> bool:
        """Whether a file surely may not be read, so that it need not be shown. Raises UpstreamError."""
        if self._rules is None:
            return False
        decision = await self._decide(caller, Action.READ, ref, credential, path, size_bytes, None)
        return not decision.allowed and "size" not in decision.wants

    async def explain(self, asked: Asked, ref: HubRef | None, credential: Credential) -> Explanation:
        """Why a call is allowed or denied, with the licence that the Hub names. Raises UpstreamError."""
        rules = self._rules or RuleSet(PolicyText())
        if ref is not None and asked.licences is None and "licences" in rules.decide(asked).wants:
            asked = asked._replace(licences=(await self._facts.about(ref, credential)).licences)
        return explain(rules, asked)

    async def forget(self, ref: HubRef) -> None:
        """Forgets what the Hub said of a repository that was written to."""
        self._facts.forget(ref)

    def recall_file(
        self, caller: Caller, ref: RepoRef, path: str | Unnamed, size_bytes: int, credential: Credential
    ) -> bool:
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
        subject: Subject | HubRef,
        credential: Credential,
        file: str | Unnamed,
        size_bytes: int | None,
        size_of: SizeOf | None,
    ) -> Decision:
        rules = self._rules
        assert rules is not None
        subject = subject if isinstance(subject, Subject) else Subject.of(subject)
        if action in _OWNED_BY_WHO_ASKS and subject.ref is not None and subject.ref.namespace is None:
            # The Hub puts it under the account of the token (contract 2.1).
            owner = await self._owner_of(credential) if credential.token is not None else None
            subject = Subject.of(replace(subject.ref, namespace=owner)) if owner is not None else ANY_REPO
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

    async def _real_name(self, ref: HubRef, credential: Credential) -> str:
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
        said = rule.reason
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
