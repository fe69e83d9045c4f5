"""The account over HTTP."""

from aiohttp import web

from hfproxy.downstream.access import Role
from hfproxy.downstream.endpoint import endpoint
from hfproxy.errors import HubRefused, UpstreamError
from hfproxy.features.account.models import Account
from hfproxy.keys import ACTING, HUB
from hfproxy.upstream.wire import Whoami

routes = web.RouteTableDef()


@routes.get("/api/account")
@endpoint(role=Role.READER, raises=(HubRefused, UpstreamError))
async def show_account(request: web.Request) -> Account:
    """Show the account that the gateway acts as on the Hub.

    It is the one behind the configured token, or the caller's own for a caller who sends a Hub token.
    """
    answer = await request.app[HUB].call("GET", "/api/whoami-v2", credential=request[ACTING])
    return Account.model_validate(answer.read_as(Whoami).model_dump(exclude_unset=True))
