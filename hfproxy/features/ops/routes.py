"""The gateway's own state over HTTP."""

from typing import Final

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from hfproxy.downstream.access import CALLER, Role, require
from hfproxy.downstream.endpoint import endpoint
from hfproxy.downstream.openapi import openapi_document
from hfproxy.errors import CallerNotAllowed, CallerUnknown, NotReady
from hfproxy.features.ops.health import Health
from hfproxy.features.ops.models import Alive, ApiDescription, Ready
from hfproxy.keys import METRICS, SETTINGS

HEALTH: Final = web.AppKey("health", Health)
routes = web.RouteTableDef()


@routes.get("/-/live")
@endpoint(role=Role.NONE, always=True)
async def show_liveness(request: web.Request) -> Alive:
    """Say that the process answers.

    Restart the process where this fails, and only then.
    """
    return Alive(status="alive")


@routes.get("/-/ready")
@endpoint(role=Role.NONE, raises=(NotReady,), always=True)
async def show_readiness(request: web.Request) -> Ready:
    """Say whether the gateway can do its part.

    503 means that something of its own does not work: send requests elsewhere. The Hub's state is told beside it and
    does not decide, since it is the same for all gateways.
    """
    return await request.app[HEALTH].ready()


@routes.get("/-/metrics")
@endpoint(role=Role.NONE, raises=(CallerUnknown, CallerNotAllowed), produces="text/plain", always=True)
async def show_metrics(request: web.Request) -> web.Response:
    """Show the gateway's counters for Prometheus.

    `HFPROXY_OPS__METRICS_ROLE` says who may see them; by default readers.
    """
    require(request[CALLER], Role.named(request.app[SETTINGS].ops.metrics_role))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(request.app[METRICS].shown()), headers={"Content-Type": content_type})


@routes.get("/-/openapi.json")
@endpoint(role=Role.NONE)
async def show_api(request: web.Request) -> ApiDescription:
    """Show this description of the API.

    It says of each call whether it needs a key: where callers without one may do things, it tells them so.
    """
    caller = request[CALLER]
    anonymous = caller.role if caller.kind == "anonymous" else Role.NONE
    return ApiDescription.model_validate(openapi_document(request.app.router, anonymous=anonymous))
