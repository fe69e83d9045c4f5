"""A call that somebody wonders about, from words to what rules see."""

from hfproxy.downstream.access import Role
from hfproxy.features.policy.explaining import Explanation
from hfproxy.features.policy.matching import ANY, NONE, Asked, Unnamed
from hfproxy.features.policy.models import Action
from hfproxy.features.policy.roads import canonical
from hfproxy.features.policy.service import NO_REPO, Subject, refusal_text
from hfproxy.features.policy.wire import PolicyAnswer, PolicyQuestion, PolicyStep
from hfproxy.upstream.refs import BUCKETS, HubRef, RepoRef


def asked_in(question: PolicyQuestion) -> tuple[Asked, HubRef | None]:
    """The call, and its repository where the Hub can be asked about it. Raises BadReference."""
    subject = subject_named(question.repo)
    caller = question.caller
    if caller != "anonymous" and ":" not in caller:
        caller = f"key:{caller}"
    file: str | Unnamed = ANY if question.any_file else NONE
    if question.file is not None:
        file = canonical(question.file)
    action = Action.LIST if not question.repo and question.action is Action.READ else question.action
    size_bytes = int(question.size) if question.size is not None else None
    licences = (question.licence.casefold(),) if question.licence is not None else None
    asked = Asked(
        caller, Role.named(question.role), action, subject.type, subject.repo, file, size_bytes, licences
    )  # fmt: skip
    return asked, subject.ref


def subject_named(text: str | None) -> Subject:
    """The repository of that name; none for none, which a query says as an empty word. Raises BadReference."""
    if not text:
        return NO_REPO
    if text.startswith(BUCKETS):
        return Subject.bucket(text.removeprefix(BUCKETS))
    return Subject.of(RepoRef.parse_printed(text))


def answer_of(explained: Explanation, asked: Asked) -> PolicyAnswer:
    """The explanation in words."""
    decision = explained.decision
    return PolicyAnswer(
        allowed=decision.allowed,
        rule=decision.rule.name,
        sure=decision.sure,
        reason=None if decision.allowed else refusal_text(decision, asked.action, asked.file),
        steps=[
            PolicyStep(rule=step.rule.name, effect=step.rule.effect.value, means_it=step.means, why=step.why)
            for step in explained.steps
        ],
    )
