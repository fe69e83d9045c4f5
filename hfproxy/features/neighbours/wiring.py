"""Tells the other processes what was written through this one, and forgets what was written through them.

Set up after every feature that watches writes: what watches then is what hears of the others' writes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from hfproxy.keys import NOTICES, WRITE_WATCHERS
from hfproxy.upstream.calls import Kind, Right
from hfproxy.upstream.refs import BucketRef, RepoRef
from hfproxy.upstream.routes import Route
from hfproxy.writes import WriteWatcher, Written

_KIND = "written"


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    notices = app[NOTICES]
    watchers: list[WriteWatcher] = app[WRITE_WATCHERS]
    watching = tuple(watchers)

    async def tell(written: Written) -> None:
        if written.may_have_happened and written.route.named:
            repos = [str(repo) for repo in written.route.repos]
            buckets = [bucket.repo_id for bucket in written.route.buckets]
            told = {"method": written.method, "path": written.path, "repos": repos, "buckets": buckets}
            await notices.post(_KIND, told)

    async def heard(about: Any) -> None:
        repos = tuple(map(RepoRef.parse_printed, about["repos"]))
        # A gateway of an older version tells nothing of buckets.
        buckets = tuple(map(BucketRef.parse, about.get("buckets", ())))
        route = Route(Kind.OTHER, Right.WRITE, repos, buckets)
        for watcher in watching:
            await watcher(Written(about["method"], about["path"], route, 200, "another process"))

    notices.hear(_KIND, heard)
    watchers.append(tell)
    async with notices.followed():
        yield


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)
