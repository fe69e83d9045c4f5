"""Users and organisations, what they own and what they like.

Source: contract sections 2.6 and 3.6.
"""

from typing import Any

from aiohttp import web

from hfproxy.upstream.refs import RepoType

from ..accounts import Account
from ..answers import json_answer, text_answer
from ..call import Call
from ..paging import limit_of, page
from ..refusals import Forbidden, Refusal
from ..repository import Like, Repository
from ..routing import Routes
from ..whoami import iso

routes = Routes()


@routes.get("/api/users/{name}/overview")
async def user_overview(call: Call) -> web.StreamResponse:
    user = _account(call, "user")
    likes = sum(like.user == user.name for repo in call.hub.repos for like in repo.record.likes)
    return json_answer(
        {
            "_id": user.account_id,
            **person(user),
            "isPro": user.is_pro,
            "isFollowing": False,
            **_counts(call, user),
            "numLikes": likes,
            "numFollowers": 0,
            "numFollowing": 0,
            "orgs": [_organisation(org) for org, _ in call.hub.accounts.organisations_of(user)],
        }
    )


@routes.get("/api/organizations/{name}/overview")
async def organisation_overview(call: Call) -> web.StreamResponse:
    org = _account(call, "org")
    return json_answer(
        {
            "_id": org.account_id,
            **_organisation(org),
            "isVerified": False,
            "isFollowing": False,
            "numUsers": len(org.members),
            **_counts(call, org),
            "numFollowers": 0,
            **({"plan": org.plan} if org.plan else {}),
        }
    )


@routes.get("/api/organizations/{name}/members")
async def members(call: Call) -> web.StreamResponse:
    org = _account(call, "org")
    found = [user for name in org.members if (user := call.hub.accounts.named(name))]
    shown, headers = page(call, found, limit_of(call, 100))
    return json_answer([person(user) for user in shown], headers=headers)


@routes.get("/api/organizations/{name}/followers", "/api/users/{name}/followers", "/api/users/{name}/following")
async def followers(call: Call) -> web.StreamResponse:
    """Nobody follows anybody in a sandbox."""
    if call.hub.accounts.named(call.params["name"]) is None:
        raise Refusal("This user does not exist", status=404)
    return json_answer([])


@routes.get("/api/users/{name}/likes")
async def likes(call: Call) -> web.StreamResponse:
    user = _account(call, "user")
    found = [
        (like, repo)
        for repo in call.hub.repos
        for like in repo.record.likes
        if like.user == user.name and call.hub.rights.sees(call.caller, repo)
    ]
    shown, headers = page(call, sorted(found, key=lambda pair: pair[0].at, reverse=True), limit_of(call, 1000))
    return json_answer(
        [
            {"createdAt": iso(like.at), "repo": {"name": repo.repo_id, "type": repo.repo_type.value}}
            for like, repo in shown
        ],
        headers=headers,
    )


@routes.get("/api/{types}/{repo}/likers")
async def likers(call: Call) -> web.StreamResponse:
    repo = call.visible_repo()
    found = [user for like in repo.record.likes if (user := call.hub.accounts.named(like.user))]
    shown, headers = page(call, found, limit_of(call, 1000))
    return json_answer([person(user) for user in shown], headers=headers)


@routes.post("/api/{types}/{repo}/like")
async def like(call: Call) -> web.StreamResponse:
    account, repo = _liking(call)
    if account.name not in {like.user for like in repo.record.likes}:
        repo.record.likes = [*repo.record.likes, Like(user=account.name, at=call.hub.now())]
        call.hub.keep(repo)
    return text_answer("OK")


@routes.delete("/api/{types}/{repo}/like")
async def unlike(call: Call) -> web.StreamResponse:
    account, repo = _liking(call)
    repo.record.likes = [like for like in repo.record.likes if like.user != account.name]
    call.hub.keep(repo)
    return text_answer("OK")


@routes.get("/api/settings/repositories")
async def own_repositories(call: Call) -> web.StreamResponse:
    return _repositories(call, call.hub.rights.check_logged_in(call.caller))


@routes.get("/api/organizations/{name}/settings/repositories")
async def organisation_repositories(call: Call) -> web.StreamResponse:
    call.hub.rights.check_logged_in(call.caller)
    org = _account(call, "org")
    if call.caller.role_in(org) is None:
        raise Forbidden
    return _repositories(call, org)


def person(user: Account) -> dict[str, Any]:
    """A user as lists of people tell them."""
    return {
        "user": user.name,
        "fullname": user.fullname or user.name,
        "avatarUrl": user.avatar_url,
        "isPro": user.is_pro,
        "type": "user",
    }


def _repositories(call: Call, owner: Account) -> web.Response:
    search, kind = (call.value("search") or "").casefold(), call.value("type")
    found = [
        repo
        for repo in call.hub.repos
        if repo.owner == owner.name and search in repo.repo_id.casefold() and kind in (None, "all", repo.repo_type)
    ]
    by_size = call.value("sort") == "storage"
    found.sort(
        key=lambda repo: (_stored(repo) if by_size else 0, repo.record.updated_at),
        reverse=call.value("direction") not in {"1", "asc"},
    )
    total = sum(map(_stored, found)) or 1
    shown, headers = page(call, found, limit_of(call, 100))
    return json_answer(
        [
            {
                "id": repo.repo_id,
                "type": repo.repo_type.value,
                "updatedAt": iso(repo.record.updated_at),
                "visibility": repo.record.visibility,
                "storage": _stored(repo),
                "storagePercent": round(100 * _stored(repo) / total, 2),
            }
            for repo in shown
        ],
        headers=headers,
    )


def _stored(repo: Repository) -> int:
    return sum(record.size_bytes for record in repo.record.lfs.values())


def _liking(call: Call) -> tuple[Account, Repository]:
    call.hub.rights.check_logged_in(call.caller)
    repo = call.visible_repo()
    return call.hub.rights.check_acts(call.caller, "discussion.write"), repo


def _account(call: Call, kind: str) -> Account:
    found = call.hub.accounts.named(call.params["name"])
    if found is None or found.kind != kind:
        raise Refusal("This user does not exist" if kind == "user" else "This organization does not exist", status=404)
    return found


def _organisation(org: Account) -> dict[str, Any]:
    return {"name": org.name, "fullname": org.fullname or org.name, "avatarUrl": org.avatar_url, "type": "org"}


def _counts(call: Call, owner: Account) -> dict[str, int]:
    seen = [repo for repo in call.hub.repos if repo.owner == owner.name and call.hub.rights.sees(call.caller, repo)]
    return {f"num{kind.value.title()}s": sum(repo.repo_type is kind for repo in seen) for kind in RepoType}
