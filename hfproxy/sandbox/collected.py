"""Collections: lists of repositories and of other collections, which people make and name."""

import re
import secrets
from collections.abc import Iterator
from datetime import datetime

from pydantic import BaseModel, Field, TypeAdapter

from .refusals import Conflict, Refusal

KEPT_AS = "collections.json"
_ID_LENGTH = 24


class Item(BaseModel):
    """One thing in a collection; `target` is a repository's `_id`, or a collection's."""

    oid: str = Field(default_factory=lambda: secrets.token_hex(12))
    kind: str
    target: str
    note: str | None = None


class Collection(BaseModel):
    oid: str = Field(default_factory=lambda: secrets.token_hex(12))
    owner: str
    title: str
    description: str | None = None
    private: bool = False
    theme: str = "orange"
    position: int = 0
    updated_at: datetime
    items: list[Item] = Field(default_factory=list)

    @property
    def slug(self) -> str:
        """Its name in addresses: owner, title, id. The id alone finds it, so old titles keep working."""
        words = re.sub(r"[^a-z0-9]+", "-", self.title.casefold()).strip("-")
        return f"{self.owner}/{words}-{self.oid}"

    def item(self, oid: str) -> Item:
        """The item of that id. Raises Refusal."""
        found = next((item for item in self.items if item.oid == oid), None)
        if found is None:
            raise Refusal("Collection item not found", status=404)
        return found


_ALL = TypeAdapter(list[Collection])


class Collections:
    """All collections of a Hub, in order of creation."""

    def __init__(self, kept: str | None) -> None:
        self._all = {each.oid: each for each in (_ALL.validate_json(kept) if kept else [])}

    def __iter__(self) -> Iterator[Collection]:
        return iter(list(self._all.values()))

    def text(self) -> str:
        """All of them, to be kept."""
        return _ALL.dump_json(list(self._all.values())).decode()

    def find(self, slug: str) -> Collection | None:
        """By `owner/any-title-<id>`."""
        owner, _, rest = slug.partition("/")
        found = self._all.get(rest[-_ID_LENGTH:])
        return found if found and found.owner.casefold() == owner.casefold() else None

    def by_id(self, oid: str) -> Collection | None:
        return self._all.get(oid)

    def add(self, collection: Collection) -> None:
        """Raises Conflict with the slug of the owner's collection of the same title."""
        for other in self._all.values():
            if (other.owner, other.title) == (collection.owner, collection.title):
                raise Conflict("A collection with the same title already exists", slug=other.slug)
        self._all[collection.oid] = collection

    def remove(self, collection: Collection) -> None:
        del self._all[collection.oid]
        for other in self._all.values():
            other.items = [item for item in other.items if item.target != collection.oid]
