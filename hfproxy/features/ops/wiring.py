"""Builds the health service and puts the routes of operation into the application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from hfproxy.downstream.endpoint import add_endpoints
from hfproxy.features.ops.checks import DatabaseCheck, writable
from hfproxy.features.ops.health import Health
from hfproxy.features.ops.routes import HEALTH, routes
from hfproxy.keys import CHECKS, DATABASE, HUB, SETTINGS, SIGHTINGS


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    checks = app[CHECKS]
    checks["storage"] = writable(app[SETTINGS].storage.root)
    database = checks["database"] = DatabaseCheck(app[DATABASE])
    health = app[HEALTH] = Health(checks=checks, hub=app[HUB], sightings=app[SIGHTINGS])
    yield
    await health.close()
    await database.close()


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
    add_endpoints(app, routes)
