"""Webhooks of the caller's own.

Source: `huggingface_hub` `hf_api.py`, the webhook methods.
"""

from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import ValidationError

from ..answers import json_answer
from ..call import Call
from ..refusals import BadRequest, Forbidden, Refusal
from ..rights import MISSING_PERMISSION
from ..routing import Routes
from ..webhooks import KEPT_AS, Webhook

routes = Routes()

MOST = 100
_OLD_DOMAINS = {"discussions": "discussion"}


@routes.get("/api/settings/webhooks")
async def listing(call: Call) -> web.StreamResponse:
    account = call.hub.rights.check_logged_in(call.caller)
    return json_answer([_told(each) for each in call.hub.webhooks if each.owner == account.name])


@routes.post("/api/settings/webhooks")
async def create(call: Call) -> web.StreamResponse:
    owner = _settling(call)
    if sum(each.owner == owner for each in call.hub.webhooks) >= MOST:
        raise BadRequest(f"You have {MOST} webhooks already")
    return _kept(call, _read(owner, await call.json(), None))


@routes.get("/api/settings/webhooks/{webhook}")
async def one(call: Call) -> web.StreamResponse:
    call.hub.rights.check_logged_in(call.caller)
    return json_answer({"webhook": _told(_own(call))})


@routes.post("/api/settings/webhooks/{webhook}")
@routes.put("/api/settings/webhooks/{webhook}")
async def change(call: Call) -> web.StreamResponse:
    owner = _settling(call)
    webhook = _own(call)
    return _kept(call, _read(owner, await call.json(), webhook))


@routes.post("/api/settings/webhooks/{webhook}/enable")
async def enable(call: Call) -> web.StreamResponse:
    _settling(call)
    return _kept(call, _own(call).model_copy(update={"disabled": False}))


@routes.post("/api/settings/webhooks/{webhook}/disable")
async def disable(call: Call) -> web.StreamResponse:
    _settling(call)
    return _kept(call, _own(call).model_copy(update={"disabled": True}))


@routes.delete("/api/settings/webhooks/{webhook}")
async def delete(call: Call) -> web.StreamResponse:
    _settling(call)
    call.hub.webhooks.remove(_own(call))
    call.hub.keep_text(KEPT_AS, call.hub.webhooks.text())
    return json_answer({})


def _settling(call: Call) -> str:
    """Who changes their settings: a token that only reads, or is fine-grained, does not."""
    account = call.hub.rights.check_logged_in(call.caller)
    if call.caller.token is None or call.caller.token.role not in {"write", "god"}:
        raise Forbidden(MISSING_PERMISSION)
    return account.name


def _own(call: Call) -> Webhook:
    found = call.hub.webhooks.find(call.params["webhook"])
    if found is None or found.owner != call.caller.name:
        raise Refusal("Webhook not found", status=404)
    return found


def _read(owner: str, fields: dict[str, Any], before: Webhook | None) -> Webhook:
    """A webhook as a body says; what it leaves out stays. An empty `watched` is how clients leave it out."""
    given = {key: fields[key] for key in ("url", "watched", "domains", "secret") if fields.get(key)}
    if isinstance(given.get("domains"), list):
        given["domains"] = [
            _OLD_DOMAINS.get(each, each) if isinstance(each, str) else each for each in given["domains"]
        ]
    if fields.get("jobSourceId") or fields.get("job"):
        raise BadRequest("This Hub runs no jobs: a webhook needs a url")
    known = before.model_dump() if before else {"owner": owner}
    try:
        webhook = Webhook.model_validate(known | given)
        address = urlsplit(webhook.url)
        usable = address.scheme in {"http", "https"} and bool(address.hostname)
        # A port that is none is found when it is read.
        usable = usable and address.port != 0
    except ValidationError as error:
        wrong = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BadRequest(f'"{wrong}" is missing or wrong') from None
    except ValueError:
        usable = False
    if not usable:
        raise BadRequest('"url" must be an address that can be called')
    if webhook.secret and not (webhook.secret.isascii() and webhook.secret.isprintable()):
        raise BadRequest('"secret" must be printable ASCII')
    return webhook


def _kept(call: Call, webhook: Webhook) -> web.Response:
    call.hub.webhooks.put(webhook)
    call.hub.keep_text(KEPT_AS, call.hub.webhooks.text())
    return json_answer({"webhook": _told(webhook)})


def _told(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.oid,
        "url": webhook.url,
        "watched": [item.model_dump() for item in webhook.watched],
        "domains": webhook.domains,
        "disabled": webhook.disabled,
        **({"secret": webhook.secret} if webhook.secret else {}),
    }
