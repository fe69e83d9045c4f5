"""Builds the policy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from hfproxy.downstream.endpoint import add_endpoints
from hfproxy.features.access.accounts import HubAccounts
from hfproxy.features.metadata.routes import METADATA
from hfproxy.features.policy.asking import asking
from hfproxy.features.policy.facts import AskedRepos
from hfproxy.features.policy.limits import Limits
from hfproxy.features.policy.loading import PolicyFile
from hfproxy.features.policy.measuring import PolicyMetrics
from hfproxy.features.policy.models import PolicyText
from hfproxy.features.policy.routes import POLICY, POLICY_FILE, routes
from hfproxy.features.policy.service import Policy
from hfproxy.features.policy.taking import LIMITS
from hfproxy.keys import HUB, METRICS, SETTINGS, WRITE_WATCHERS
from hfproxy.writes import Written


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    metrics = PolicyMetrics(app[METRICS].registry)
    policy = app[POLICY] = Policy(
        facts=AskedRepos(asking(lambda: app[METADATA], app[HUB])),
        owner_of=HubAccounts(hub=app[HUB]).name_of,
        denied=metrics.denied,
    )
    limits = app[LIMITS] = Limits(refused=metrics.limited)

    def hold(text: PolicyText) -> None:
        policy.replace(text)
        limits.replace(text.limit)

    file = app[POLICY_FILE] = PolicyFile(app[SETTINGS].policy.file, hold=hold, metrics=metrics)
    file.start()

    async def forget_what_was_written(written: Written) -> None:
        if written.may_have_happened:
            for repo in written.route.named:
                await policy.forget(repo)

    app[WRITE_WATCHERS].append(forget_what_was_written)
    async with file.following():
        yield


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
    add_endpoints(app, routes)
