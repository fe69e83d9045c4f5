"""Builds the repository service and puts its routes into the application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from hfproxy.downstream.endpoint import add_endpoints
from hfproxy.features.audit.routes import AUDIT
from hfproxy.features.repos.permission import RepoPermission
from hfproxy.features.repos.routes import REPOS, routes
from hfproxy.features.repos.service import RepoService
from hfproxy.keys import HUB


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    app[REPOS] = RepoService(hub=app[HUB], permission=RepoPermission(hub=app[HUB]), trail=app[AUDIT])
    yield


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
    add_endpoints(app, routes)
