"""What happened in buckets, kept for those who follow them: batches of changes, in order, as far back as there is room.

Source: `huggingface_hub` 2.4.0 `_bucket_live_follow.py`. Kept by the process alone: who comes with a place in the feed
of an earlier one is told to begin anew.
"""

import secrets
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from .bucketed import Bucket, BucketFile
from .refusals import BadRequest

MOST_BATCHES = 1000


@dataclass(frozen=True, slots=True)
class Change:
    path: str
    op: Literal["add", "update", "delete"]
    file: BucketFile | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    number: int
    at_ms: int
    changes: tuple[Change, ...]


@dataclass(slots=True)
class Feed:
    """Of one bucket. `gone_until_ms`: what happened before is not known any more."""

    gone_until_ms: int
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    batches: deque[Batch] = field(default_factory=deque)
    last: int = 0

    def cursor(self, number: int) -> str:
        return f"{self.key}-{number}"

    def after(self, number: int) -> list[Batch]:
        return [batch for batch in self.batches if batch.number > number]


class TooOld(Exception):
    """What happened since is not known any more."""


class Feeds:
    """The feeds of all buckets of one Hub, each since it began."""

    def __init__(self, began_at: datetime) -> None:
        self._feeds: defaultdict[str, Feed] = defaultdict(lambda: Feed(_ms(began_at)))

    def of(self, bucket: Bucket) -> Feed:
        return self._feeds[bucket.oid]

    def forget(self, bucket: Bucket) -> None:
        self._feeds.pop(bucket.oid, None)

    def note(self, bucket: Bucket, before: Mapping[str, BucketFile], at: datetime) -> None:
        """Keep what a batch made of the files there were `before` it."""
        changes = tuple(_changes(before, bucket.files))
        if not changes:
            return
        feed = self.of(bucket)
        feed.last += 1
        feed.batches.append(Batch(feed.last, _ms(at), changes))
        if len(feed.batches) > MOST_BATCHES:
            feed.gone_until_ms = feed.batches.popleft().at_ms + 1


def place_of_cursor(feed: Feed, cursor: str) -> int:
    """The last batch that who has this cursor knows of. Raises BadRequest, TooOld."""
    key, _, number = cursor.rpartition("-")
    if not (key and number.isascii() and number.isdigit() and len(number) < 20):
        raise BadRequest('"cursor" is not valid')
    first = feed.batches[0].number if feed.batches else feed.last + 1
    if key != feed.key or not first - 1 <= int(number) <= feed.last:
        raise TooOld
    return int(number)


def place_of_time(feed: Feed, bucket: Bucket, since: str) -> int:
    """The last batch before that time. Raises BadRequest, TooOld.

    Times are told in milliseconds: a batch of the very same one is told again rather than never.
    """
    try:
        since_ms = _ms(datetime.fromisoformat(since))
    except (ValueError, OverflowError, OSError):
        raise BadRequest('"since" is not a time') from None
    if since_ms < feed.gone_until_ms and _ms(bucket.updated_at) > since_ms:
        raise TooOld
    return max((batch.number for batch in feed.batches if batch.at_ms < since_ms), default=0)


def _changes(before: Mapping[str, BucketFile], after: Mapping[str, BucketFile]) -> Iterator[Change]:
    for path, file in after.items():
        if path not in before:
            yield Change(path, "add", file)
        elif file is not before[path]:
            yield Change(path, "update", file)
    for path in before:
        if path not in after:
            yield Change(path, "delete")


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
