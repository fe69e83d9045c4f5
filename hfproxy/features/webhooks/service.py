"""Judges who calls as a webhook, and reads out of a notice what must be forgotten."""

import hmac
from time import monotonic

from hfproxy.downstream.forwarded import IPAddress
from hfproxy.errors import CallerNotAllowed, NotFound, Overloaded
from hfproxy.features.access.attempts import FailedAttempts
from hfproxy.features.webhooks.models import HubNotice
from hfproxy.upstream.refs import BadReference, RepoRef, RepoType

# The Hub sends at most a thousand a day for one webhook (contract section 7); each costs a write to the database.
MOST_A_MINUTE = 600
_WINDOW_S = 60.0


class WebhookDoor:
    """Lets in who knows the secret, compared in constant time, and no more of them than the database bears."""

    def __init__(self, secret: str | None, *, attempts: FailedAttempts) -> None:
        self._secret = secret.encode() if secret is not None else None
        self._attempts = attempts
        self._begun, self._count = 0.0, 0

    def admit(self, sent: str | None, address: IPAddress | None) -> None:
        """Passes for the secret. Raises NotFound where none is set, CallerNotAllowed, TooManyAttempts, Overloaded."""
        if self._secret is None:
            raise NotFound("this gateway takes no webhooks: HFPROXY_UPSTREAM__WEBHOOK_SECRET is not set")
        given = (sent or "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._secret):
            self._attempts.check(address)
            if sent is not None:
                self._attempts.count(address)
            raise CallerNotAllowed("X-Webhook-Secret is missing or wrong")
        now = monotonic()
        if now - self._begun >= _WINDOW_S:
            self._begun, self._count = now, 0
        self._count += 1
        if self._count > MOST_A_MINUTE:
            raise Overloaded(f"more than {MOST_A_MINUTE} notices a minute", retry_after_s=int(_WINDOW_S))


def changed_repositories(notice: HubNotice) -> tuple[RepoRef, ...]:
    """The repositories of which something else may be true now; none for discussions and what is not a repository."""
    if notice.event.scope.partition(".")[0] != "repo":
        return ()
    try:
        repo_type = RepoType.parse(notice.repo.type)
        names = [notice.repo.name, *([notice.moved_to.name] if notice.moved_to is not None else [])]
        return tuple(RepoRef.parse(repo_type, name) for name in names)
    except BadReference:
        return ()
