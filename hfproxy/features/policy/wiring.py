"""Builds the policy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from hfproxy.features.metadata.routes import METADATA
from hfproxy.features.policy.asking import asking
from hfproxy.features.policy.facts import AskedRepos
from hfproxy.features.policy.routes import POLICY
from hfproxy.features.policy.service import Policy
from hfproxy.keys import HUB


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    app[POLICY] = Policy(facts=AskedRepos(asking(lambda: app[METADATA], app[HUB])))
    yield


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
