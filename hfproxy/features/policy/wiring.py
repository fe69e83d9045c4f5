"""Builds the policy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from hfproxy.features.access.accounts import HubAccounts
from hfproxy.features.metadata.routes import METADATA
from hfproxy.features.policy.asking import asking
from hfproxy.features.policy.facts import AskedRepos
from hfproxy.features.policy.routes import POLICY
from hfproxy.features.policy.service import Policy
from hfproxy.keys import HUB, WRITE_WATCHERS
from hfproxy.writes import Written


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    policy = app[POLICY] = Policy(
        facts=AskedRepos(asking(lambda: app[METADATA], app[HUB])), owner_of=HubAccounts(hub=app[HUB]).name_of
    )

    async def forget_what_was_written(written: Written) -> None:
        if written.may_have_happened:
            for repo in written.route.repos:
                await policy.forget(repo)

    app[WRITE_WATCHERS].append(forget_what_was_written)
    yield


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
