"""Webhooks over HTTP."""

from typing import Final

import structlog
from aiohttp import web

from hfproxy.downstream.access import Role
from hfproxy.downstream.endpoint import endpoint
from hfproxy.downstream.forwarded import ORIGIN
from hfproxy.errors import CallerNotAllowed, NotFound, Overloaded, StorageUnavailable, TooManyAttempts
from hfproxy.features.webhooks.models import Forgotten, HubNotice
from hfproxy.features.webhooks.service import WebhookDoor, changed_repositories
from hfproxy.keys import WRITE_WATCHERS
from hfproxy.upstream.calls import Kind, Right
from hfproxy.upstream.routes import Route
from hfproxy.writes import Written

log = structlog.get_logger(__name__)

WEBHOOK_DOOR: Final = web.AppKey("webhook_door", WebhookDoor)
SECRET_HEADER: Final = "X-Webhook-Secret"  # noqa: S105 - a header's name
PATH: Final = "/-/webhooks/hub"
routes = web.RouteTableDef()


def _admit(request: web.Request) -> None:
    request.app[WEBHOOK_DOOR].admit(request.headers.get(SECRET_HEADER), request[ORIGIN].address)


@routes.post(PATH)
@endpoint(
    role=Role.NONE,
    raises=(NotFound, CallerNotAllowed, TooManyAttempts, Overloaded, StorageUnavailable),
    admit=_admit,
)
async def take_hub_notice(request: web.Request, body: HubNotice) -> Forgotten:
    """Forget what a write elsewhere has changed, told by a webhook of the Hub.

    The Hub sends the webhook's secret as `X-Webhook-Secret`. Notices that concern nothing that is kept are taken and
    passed over, so that a webhook may watch everything; the same notice twice does no harm.
    """
    repos = changed_repositories(body)
    if repos:
        written = Written("POST", PATH, Route(Kind.OTHER, Right.WRITE, repos), 200, "hub webhook")
        for watcher in request.app[WRITE_WATCHERS]:
            await watcher(written)
        log.info("webhook.taken", repos=[str(repo) for repo in repos], action=body.event.action, scope=body.event.scope)
    return Forgotten(repositories=[str(repo) for repo in repos])
