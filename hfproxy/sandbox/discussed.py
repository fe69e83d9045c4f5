"""Discussions and pull requests as they are kept: a list of events, from which their state is read.

Source: contract section 7, "Discussions".
"""

import secrets
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

Status = Literal["draft", "open", "closed", "merged"]


class _Event(BaseModel):
    oid: str = Field(default_factory=lambda: secrets.token_hex(12))
    author: str
    at: datetime


class Text(BaseModel):
    """What a comment says since `at`."""

    raw: str
    author: str
    at: datetime


class Comment(_Event):
    """Something said; the first text is how it was written, each further one an edit."""

    kind: Literal["comment"] = "comment"
    texts: list[Text]
    hidden: bool = False


class StatusChange(_Event):
    kind: Literal["status-change"] = "status-change"
    status: Status


class TitleChange(_Event):
    kind: Literal["title-change"] = "title-change"
    before: str
    after: str


class Committed(_Event):
    """A commit that was added to a pull request."""

    kind: Literal["commit"] = "commit"
    subject: str
    commit_hash: str


Event = Comment | StatusChange | TitleChange | Committed


class Discussion(BaseModel):
    """A discussion, or a pull request: one with a branch that its changes go to."""

    oid: str = Field(default_factory=lambda: secrets.token_hex(12))
    num: int
    title: str
    author: str
    created_at: datetime
    status: Status = "open"
    base: str | None = None
    """Of a pull request: the full ref that it is to be merged into."""
    merge_commit: str | None = None
    pinned: bool = False
    events: list[Annotated[Event, Field(discriminator="kind")]] = Field(default_factory=list)

    @property
    def is_pull_request(self) -> bool:
        return self.base is not None

    @property
    def ref(self) -> str:
        """Where a pull request's commits are."""
        return f"refs/pr/{self.num}"

    @property
    def comments(self) -> list[Comment]:
        return [event for event in self.events if isinstance(event, Comment)]

    def say(self, text: str, *, by: str, at: datetime) -> Comment:
        comment = Comment(author=by, at=at, texts=[Text(raw=text, author=by, at=at)])
        self.events.append(comment)
        return comment

    def become(self, status: Status, *, by: str, at: datetime) -> StatusChange:
        self.status = status
        change = StatusChange(author=by, at=at, status=status)
        self.events.append(change)
        return change

    def rename(self, title: str, *, by: str, at: datetime) -> TitleChange:
        change = TitleChange(author=by, at=at, before=self.title, after=title)
        self.title = title
        self.events.append(change)
        return change
