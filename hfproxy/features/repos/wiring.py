"""Builds the repository service and puts its routes into the application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from hfproxy.downstream.endpoint import add_endpoints
from hfproxy.features.access.accounts import HubAccounts
from hfproxy.features.audit.routes import AUDIT
from hfproxy.features.repos.permission import RepoPermission
from hfproxy.features.repos.routes import REPOS, routes
from hfproxy.features.repos.service import RepoService
from hfproxy.keys import HUB


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    hub = app[HUB]
    app[REPOS] = RepoService(
        hub=hub, permission=RepoPermission(hub=hub), trail=app[AUDIT], accounts=HubAccounts(hub=hub)
    )
    yield


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
    add_endpoints(app, routes)
