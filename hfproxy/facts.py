"""Facts about the request being answered, put on its log line (`request.finished`) by whoever learns them.

A context variable, so that rooms that know nothing of each other (`upstream`, `storage`, a feature) can add to it.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field

_NOW: ContextVar["RequestFacts | None"] = ContextVar("request_facts", default=None)


@dataclass(slots=True)
class RequestFacts:
    """What is known of one request; `request_id` is ours, unless the caller brought one."""

    request_id: str
    facts: dict[str, object] = field(default_factory=dict)
    upstream_calls: int = 0

    def enter(self) -> None:
        """Makes these the facts of the current task and of those it starts."""
        _NOW.set(self)


def note(**facts: object) -> None:
    """Adds to the current request's log line; outside a request nothing happens."""
    if (now := _NOW.get()) is not None:
        now.facts.update(facts)


def count_upstream_call() -> None:
    """Counts one more call to the Hub on the current request's behalf."""
    if (now := _NOW.get()) is not None:
        now.upstream_calls += 1


def request_id() -> str | None:
    """The current request's id, to hand on upstream."""
    now = _NOW.get()
    return now.request_id if now is not None else None
