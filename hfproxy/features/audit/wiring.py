"""Builds the audit trail and puts its route into the application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from hfproxy.downstream.endpoint import add_endpoints
from hfproxy.features.access.accounts import HubAccounts
from hfproxy.features.audit.routes import AUDIT, routes
from hfproxy.features.audit.service import AuditTrail
from hfproxy.features.audit.store import AuditStore
from hfproxy.keys import DATABASE, HUB


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    trail = app[AUDIT] = AuditTrail(store=AuditStore(app[DATABASE]), accounts=HubAccounts(hub=app[HUB]))
    yield
    await trail.close()


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
    add_endpoints(app, routes)
