"""Builds the health service and puts the routes of operation into the application."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from sqlalchemy import text

from hfproxy.downstream.endpoint import add_endpoints
from hfproxy.features.ops.health import Health
from hfproxy.features.ops.routes import HEALTH, routes
from hfproxy.keys import CHECKS, DATABASE, HUB, SETTINGS, SIGHTINGS, Check
from hfproxy.storage.database import Database


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    checks = app[CHECKS]
    checks["storage"] = _writable(app[SETTINGS].storage.root)
    checks["database"] = _answers(app[DATABASE])
    health = app[HEALTH] = Health(checks=checks, hub=app[HUB], sightings=app[SIGHTINGS])
    yield
    await health.close()


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
    add_endpoints(app, routes)


def _writable(folder: Path) -> Check:
    """A check that passes while files can be made in the folder, or the folder in the nearest one there is."""

    def look() -> None:
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(f"{existing} is not writable")

    return lambda: asyncio.to_thread(look)


def _answers(database: Database) -> Check:
    """A check that passes while the database answers."""

    async def ask() -> None:
        await database.read(
            lambda connection: connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        )

    return ask
