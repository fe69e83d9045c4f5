"""Webhooks: who wants to be told what, and where.

Sources: `huggingface_hub` `hf_api.py`, the webhook methods; contract section 7, "Webhooks coming in".
"""

import secrets
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, Field, TypeAdapter

from .repository import Repository

KEPT_AS = "webhooks.json"
MOST_WATCHED = 100
Domain = Literal["repo", "discussion"]


class Watched(BaseModel):
    """An account with all it owns, or one repository."""

    type: Literal["user", "org", "model", "dataset", "space"]
    name: str


class Webhook(BaseModel):
    """One address that is called about some of what its owner can see."""

    oid: str = Field(default_factory=lambda: secrets.token_hex(12))
    owner: str
    url: str
    watched: list[Watched] = Field(min_length=1, max_length=MOST_WATCHED)
    domains: list[Domain] = ["repo", "discussion"]
    secret: str | None = None
    disabled: bool = False

    def wants(self, scope: str, repo: Repository, names: Iterable[str]) -> bool:
        """Whether it is to be called about a scope of a repository that has, or had, these ids."""
        if self.disabled or scope.partition(".")[0] not in self.domains:
            return False
        ids = {name.casefold() for name in names}
        owners = {name.partition("/")[0] for name in ids if "/" in name}
        return any(
            item.name.casefold() in (owners if item.type in {"user", "org"} else ids)
            and item.type in {"user", "org", repo.repo_type.value}
            for item in self.watched
        )


_ALL = TypeAdapter(list[Webhook])


class Webhooks:
    """All webhooks of a Hub, in order of creation."""

    def __init__(self, kept: str | None) -> None:
        self._all = {each.oid: each for each in (_ALL.validate_json(kept) if kept else [])}

    def __iter__(self) -> Iterator[Webhook]:
        return iter(list(self._all.values()))

    def __bool__(self) -> bool:
        return bool(self._all)

    def text(self) -> str:
        """All of them, to be kept."""
        return _ALL.dump_json(list(self._all.values())).decode()

    def find(self, oid: str) -> Webhook | None:
        return self._all.get(oid)

    def put(self, webhook: Webhook) -> None:
        """Take in a webhook, in place of the one of the same id."""
        self._all[webhook.oid] = webhook

    def remove(self, webhook: Webhook) -> None:
        del self._all[webhook.oid]
