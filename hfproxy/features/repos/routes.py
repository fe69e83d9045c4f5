"""The repository calls over HTTP."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from aiohttp import web

from hfproxy.downstream.access import CALLER, Role
from hfproxy.downstream.endpoint import endpoint
from hfproxy.errors import BadFields, HubRefused, PolicyDenied, StorageUnavailable, UpstreamError
from hfproxy.features.policy.matching import NONE
from hfproxy.features.policy.models import Action
from hfproxy.features.policy.routes import POLICY
from hfproxy.features.policy.service import Subject
from hfproxy.features.repos.models import Repo, RepoChange, RepoCreation, RepoDeletion, RepoList, RepoQuery
from hfproxy.features.repos.service import RepoService
from hfproxy.keys import ACTING, ERRANDS, WRITE_WATCHERS
from hfproxy.upstream.calls import Kind, Right
from hfproxy.upstream.refs import RepoRef
from hfproxy.upstream.routes import Route
from hfproxy.writes import WriteWatcher, telling

REPOS: Final = web.AppKey("repos", RepoService)
routes = web.RouteTableDef()


@routes.get("/api/repo")
@endpoint(role=Role.READER, raises=(PolicyDenied, HubRefused, UpstreamError))
async def list_repos(request: web.Request, query: RepoQuery) -> RepoList:
    """List an owner's repositories of one kind, private ones too where the token may see them."""
    await _judge(request, Action.LIST, Subject(query.type.value, NONE))
    return await request.app[REPOS].listed(query, caller=request[CALLER], credential=request[ACTING])


@routes.post("/api/repo")
@endpoint(role=Role.WRITER, raises=(BadFields, PolicyDenied, HubRefused, UpstreamError, StorageUnavailable))
async def create_repo(request: web.Request, body: RepoCreation) -> Repo:
    """Create a repository on the Hub."""
    await _judge(request, Action.CREATE, Subject.of(body.ref))

    async def create() -> Repo:
        return await request.app[REPOS].create(body, caller=request[CALLER], credential=request[ACTING])

    return await _to_the_end(create, request, Kind.CREATE, body.ref)


@routes.put("/api/repo")
@endpoint(role=Role.WRITER, raises=(BadFields, PolicyDenied, HubRefused, UpstreamError, StorageUnavailable))
async def change_repo(request: web.Request, body: RepoChange) -> Repo:
    """Change a repository's visibility, gate or name."""
    moved = (RepoRef.parse(body.ref.repo_type, body.move),) if body.move is not None else ()
    await _judge(request, Action.MANAGE, Subject.of(body.ref))
    for ref in moved:
        await _judge(request, Action.CREATE, Subject.of(ref))

    async def change() -> Repo:
        return await request.app[REPOS].change(body, caller=request[CALLER], credential=request[ACTING])

    return await _to_the_end(change, request, Kind.MOVE if moved else Kind.OTHER, body.ref, *moved)


@routes.delete("/api/repo")
@endpoint(role=Role.WRITER, raises=(BadFields, PolicyDenied, HubRefused, UpstreamError, StorageUnavailable))
async def delete_repo(request: web.Request, fields: RepoDeletion) -> Repo:
    """Delete a repository and all it holds.

    The fields stand in the body or in the query, since many clients drop the body of a DELETE.
    """
    await _judge(request, Action.DELETE, Subject.of(fields.ref))

    async def delete() -> Repo:
        return await request.app[REPOS].delete(fields, caller=request[CALLER], credential=request[ACTING])

    return await _to_the_end(delete, request, Kind.DELETE, fields.ref)


async def _judge(request: web.Request, action: Action, subject: Subject) -> None:
    """Passes if the policy allows it. Raises PolicyDenied."""
    await request.app[POLICY].require(request[CALLER], action, subject, credential=request[ACTING])


async def _to_the_end(write: Callable[[], Awaitable[Repo]], request: web.Request, kind: Kind, *refs: RepoRef) -> Repo:
    """Does a write whose caller may go away in the middle, and tells those who keep something of these repositories.

    Some writes are several calls to the Hub: one that stopped after the first would leave a gated repository open.
    """
    route = Route(kind, Right.WRITE, refs)
    watchers: list[WriteWatcher] = request.app[WRITE_WATCHERS]

    async def told() -> Repo:
        async with telling(watchers, request.method, request.path, route, request[CALLER].name) as what:
            repo = await write()
            if refs[0].namespace is None:
                what.route = replace(route, repos=(RepoRef.parse(repo.type, repo.id),))
            return repo

    return await request.app[ERRANDS].run(told, name=f"{request.method} {refs[0].repo_id}")
