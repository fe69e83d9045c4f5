"""Collections.

Sources: contract section 7; `huggingface_hub` `hf_api.py`, the collection methods and class Collection.
"""

from typing import Any

from aiohttp import web

from hfproxy.upstream.refs import RepoType

from ..answers import json_answer
from ..call import Call
from ..collected import KEPT_AS, Collection, Item
from ..describe import Description
from ..paging import limit_of, page
from ..refusals import BadRequest, Conflict, Forbidden, Refusal
from ..repository import Repository
from ..routing import Routes
from ..whoami import iso

routes = Routes()

# A listing shows the first items only (`huggingface_hub` `hf_api.py`, `list_collections`).
ITEMS_IN_LIST = 4
LONGEST_TITLE, LONGEST_DESCRIPTION = 60, 150


@routes.get("/api/collections")
async def list_collections(call: Call) -> web.StreamResponse:
    owners, items = call.values("owner"), call.values("item")
    search = (call.value("q") or "").casefold()
    found = [
        each
        for each in call.hub.collections
        if _sees(call, each)
        and (not owners or each.owner in owners)
        and search in f"{each.title} {each.description or ''}".casefold()
        and all(any(_is_named(call, item, wanted) for item in each.items) for wanted in items)
    ]
    found.sort(key=lambda each: each.updated_at, reverse=True)
    shown, headers = page(call, found, limit_of(call, 10, longest=100))
    return json_answer([_in_list(call, each) for each in shown], headers=headers)


@routes.post("/api/collections")
async def create(call: Call) -> web.StreamResponse:
    account = call.hub.rights.check_acts(call.caller, "collection.write")
    fields = await call.json()
    namespace = str(fields.get("namespace") or account.name)
    owner = call.hub.rights.check_namespace(call.caller, namespace, "collection")
    collection = Collection(
        owner=owner.name,
        title=_text(fields, "title", LONGEST_TITLE) or "",
        description=_text(fields, "description", LONGEST_DESCRIPTION),
        private=bool(fields.get("private")),
        updated_at=call.hub.now(),
    )
    if not collection.title:
        raise BadRequest('"title" is required')
    call.hub.collections.add(collection)
    item = fields.get("item")
    if isinstance(item, dict):
        collection.items.append(_new_item(call, item, None))
    return _kept(call, collection)


@routes.get("/api/collections/{owner}/{slug}")
async def read(call: Call) -> web.StreamResponse:
    return json_answer(_told(call, _visible(call)))


@routes.patch("/api/collections/{owner}/{slug}")
async def change(call: Call) -> web.StreamResponse:
    collection = _writable(call)
    fields = await call.json()
    collection.title = _text(fields, "title", LONGEST_TITLE) or collection.title
    if "description" in fields:
        collection.description = _text(fields, "description", LONGEST_DESCRIPTION)
    for name, kind in (("private", bool), ("theme", str), ("position", int)):
        if name in fields:
            if not isinstance(fields[name], kind):
                raise BadRequest(f'"{name}" must be a {kind.__name__}')
            setattr(collection, name, fields[name])
    return _kept(call, collection, wrapped=True)


@routes.delete("/api/collections/{owner}/{slug}")
async def delete(call: Call) -> web.StreamResponse:
    call.hub.collections.remove(_writable(call))
    call.hub.keep_text(KEPT_AS, call.hub.collections.text())
    return json_answer({"success": True})


@routes.post("/api/collections/{owner}/{slug}/items")
async def add_item(call: Call) -> web.StreamResponse:
    collection = _writable(call)
    fields = await call.json()
    wanted = fields.get("item")
    if not isinstance(wanted, dict):
        raise BadRequest('"item" is required')
    item = _new_item(call, wanted, fields.get("note"))
    if any((other.kind, other.target) == (item.kind, item.target) for other in collection.items):
        raise Conflict("This item is already in the collection")
    collection.items.append(item)
    return _kept(call, collection)


@routes.post("/api/collections/{owner}/{slug}/items/batch")
async def change_items(call: Call) -> web.StreamResponse:
    collection = _writable(call)
    changes = (await call.json()).get("data") or []
    for change in changes if isinstance(changes, list) else [changes]:
        if not isinstance(change, dict):
            raise BadRequest('"data" must be a list of {_id, data}')
        _change_item(collection, collection.item(str(change.get("_id"))), change.get("data") or change)
    return _kept(call, collection)


@routes.patch("/api/collections/{owner}/{slug}/items/{item}")
async def change_item(call: Call) -> web.StreamResponse:
    collection = _writable(call)
    _change_item(collection, collection.item(call.params["item"]), await call.json())
    return _kept(call, collection, wrapped=True)


@routes.delete("/api/collections/{owner}/{slug}/items/{item}")
async def delete_item(call: Call) -> web.StreamResponse:
    collection = _writable(call)
    collection.items.remove(collection.item(call.params["item"]))
    return _kept(call, collection)


def _kept(call: Call, collection: Collection, *, wrapped: bool = False) -> web.Response:
    collection.updated_at = call.hub.now()
    call.hub.keep_text(KEPT_AS, call.hub.collections.text())
    told = _told(call, collection)
    return json_answer({"success": True, "data": told} if wrapped else told)


def _visible(call: Call) -> Collection:
    found = call.hub.collections.find(f"{call.params['owner']}/{call.params['slug']}")
    if found is None or not _sees(call, found):
        raise Refusal("Collection not found", status=404)
    return found


def _writable(call: Call) -> Collection:
    call.hub.rights.check_acts(call.caller, "collection.write")
    collection = _visible(call)
    if call.caller.role_in(call.hub.accounts.named(collection.owner)) not in {"admin", "write", "contributor"}:
        raise Forbidden
    return collection


def _sees(call: Call, collection: Collection) -> bool:
    return not collection.private or call.caller.role_in(call.hub.accounts.named(collection.owner)) is not None


def _text(fields: dict[str, Any], name: str, longest: int) -> str | None:
    text = fields.get(name)
    if text is not None and not isinstance(text, str):
        raise BadRequest(f'"{name}" must be a string')
    if text and len(text) > longest:
        raise BadRequest(f'"{name}" length must be less than or equal to {longest} characters long')
    return text


def _new_item(call: Call, wanted: dict[str, Any], note: Any) -> Item:
    """The item that a body names. Raises Refusal when there is none such."""
    kind, name = str(wanted.get("type")), str(wanted.get("id"))
    note = note if isinstance(note, str) else None
    if kind == "collection":
        collection = call.hub.collections.find(name)
        if collection is None or not _sees(call, collection):
            raise Refusal("Collection not found", status=404)
        return Item(kind=kind, target=collection.oid, note=note)
    if kind not in list(RepoType):
        raise BadRequest('"type" must be one of [model, dataset, space, kernel, collection]')
    return Item(kind=kind, target=call.named_repo(kind, name).record.oid, note=note)


def _change_item(collection: Collection, item: Item, fields: dict[str, Any]) -> None:
    if not isinstance(fields, dict):
        raise BadRequest('"data" must be an object')
    if isinstance(fields.get("note"), str):
        item.note = fields["note"]
    if isinstance(fields.get("position"), int):
        collection.items.remove(item)
        collection.items.insert(fields["position"], item)


def _repo(call: Call, item: Item) -> Repository | None:
    found = next((repo for repo in call.hub.repos if repo.record.oid == item.target), None)
    return found if found and call.hub.rights.sees(call.caller, found) else None


def _is_named(call: Call, item: Item, wanted: str) -> bool:
    kind, _, name = wanted.partition("/")
    repo = _repo(call, item)
    return repo is not None and repo.repo_type.api_segment == kind and repo.repo_id.casefold() == name.casefold()


def _in_list(call: Call, collection: Collection) -> dict[str, Any]:
    """Without a position: clients count (`huggingface_hub` `hf_api.py`, `list_collections`)."""
    return {key: value for key, value in _told(call, collection, ITEMS_IN_LIST).items() if key != "position"}


def _told(call: Call, collection: Collection, most_items: int | None = None) -> dict[str, Any]:
    found = [_item(call, item, position) for position, item in enumerate(collection.items)]
    items = [item for item in found if item]
    owner = call.hub.accounts.named(collection.owner)
    told: dict[str, Any] = {
        "_id": collection.oid,
        "slug": collection.slug,
        "title": collection.title,
        "owner": {"name": collection.owner, "type": owner.kind if owner else "user"},
        "items": items[:most_items],
        "lastUpdated": iso(collection.updated_at),
        "position": collection.position,
        "private": collection.private,
        "theme": collection.theme,
        "upvotes": 0,
        "shareUrl": f"https://hf.co/collections/{collection.slug}",
        "gating": False,
        "numberItems": len(items),
    }
    return told | ({"description": collection.description} if collection.description else {})


def _item(call: Call, item: Item, position: int) -> dict[str, Any] | None:
    """An item as the caller sees it; None for what is gone or hidden from them."""
    place: dict[str, Any] = {"position": position, "type": item.kind}
    place |= {"note": {"text": item.note, "html": item.note}} if item.note else {}
    if item.kind == "collection":
        collection = call.hub.collections.by_id(item.target)
        if collection is None or not _sees(call, collection):
            return None
        return {"id": collection.oid, "slug": collection.slug, "title": collection.title, **place, "_id": item.oid}
    repo = _repo(call, item)
    if repo is None:
        return None
    fields = ("author", "downloads", "gated", "lastModified", "likes", "private")
    return Description(call.hub, repo).fields(fields) | place | {"_id": item.oid, "repoType": item.kind}
