"""What the Hub says about one repository."""

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..describe import Description, check_expand
from ..routing import Routes

routes = Routes()


@routes.get("/api/{types}/{repo}/revision/{revision}", "/api/{types}/{repo}")
async def info(call: Call) -> web.StreamResponse:
    repo = call.visible_repo()
    commit_hash = repo.commit_hash(call.params["revision"]) if "revision" in call.params else repo.head
    described = Description(call.hub, repo, commit_hash, with_blobs=call.flag("blobs"))
    expand = call.values("expand")
    if expand:
        return json_answer(described.fields(check_expand(repo.repo_type, expand)))
    told = described.one()
    if call.flag("securityStatus"):
        told |= described.fields(("securityStatus",))
        told["securityRepoStatus"] = told["securityStatus"]
    return json_answer(told)
