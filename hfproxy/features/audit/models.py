"""The audit trail as it is asked for and answered."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from hfproxy.downstream.endpoint import WireModel

Outcome = Literal["done", "refused", "failed", "unknown"]
OUTCOME_WORDS = (
    "`done`: the Hub confirmed it · `refused`: the Hub or the gateway said no, nothing changed · `failed`: it did not "
    "reach the Hub · `unknown`: it may have happened (no answer, a broken one, the gateway ended; also while it runs)"
)
MAX_PAGE = 1000


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _written_out(value: object) -> object:
    """No plain number: whether it means seconds or milliseconds would be guessed."""
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("must be a moment such as 2026-03-01 or 2026-03-01T12:00:00Z")
    return value


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
Moment = Annotated[
    datetime,
    BeforeValidator(_written_out),
    AfterValidator(_in_utc),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}),
]


class AuditQuery(WireModel):
    """Which writes to show; without anything the newest."""

    repo: str | None = Field(
        None, max_length=200, description="Owner and name, or `owner/*`; also what was moved from or to it"
    )
    type: Literal["model", "dataset", "space", "kernel"] | None = Field(None, description="Kind of repository")
    caller: str | None = Field(None, max_length=200, description="Name of a key or of a Hub account, or `anonymous`")
    action: str | None = Field(None, max_length=64, description="Such as `repo.create`, `repo.delete`")
    outcome: Outcome | None = Field(None, description=OUTCOME_WORDS)
    since: Moment | None = Field(None, description="The first moment, as 2026-03-01 or 2026-03-01T12:00:00Z")
    until: Moment | None = Field(None, description="The first moment that is not shown any more")
    cursor: str | None = Field(None, pattern=r"^[0-9]{1,18}$", description="`next` of the page before")
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Most writes on a page")


class AuditWrite(WireModel):
    """One write: who asked for what, and what came of it."""

    id: str = Field(examples=["17"])
    at: datetime = Field(description="When it was about to be sent to the Hub")
    caller: str = Field(
        examples=["ci"],
        description="Name of a key, of the Hub account of a caller with a token of their own, or `anonymous`",
    )
    caller_kind: Literal["anonymous", "key", "hub_token"]
    caller_id: str | None = Field(description="The key's id or the token's fingerprint")
    address: str | None = Field(examples=["203.0.113.7"], description="Where it came from")
    request_id: str | None = Field(description="As the log line and the answer name the request")
    action: str = Field(examples=["repo.create"])
    type: str | None = Field(examples=["model"], description="Kind of repository")
    repo: str | None = Field(examples=["acme/demo"], description="The repository, with its owner once that is known")
    new_repo: str | None = Field(description="Its new name, where it is moved")
    asked: dict[str, Any] = Field(description="The plain settings that were asked for; never secrets")
    outcome: Outcome = Field(description=OUTCOME_WORDS)
    status: int | None = Field(description="What the Hub or the gateway answered")
    code: str | None = Field(description="The error's code, where there was one")
    finished_at: datetime | None = Field(description="When the outcome was known; null: it never was, or not yet")


class AuditPage(WireModel):
    """Writes, the newest first."""

    writes: list[AuditWrite]
    next: str | None = Field(description="The `cursor` of the next page; null on the last")
