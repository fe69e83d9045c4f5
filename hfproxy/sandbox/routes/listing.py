"""Lists of repositories, and ways to find one.

Sources: contract sections 3.1 and 3.6.
"""

from collections import Counter
from typing import Any

from aiohttp import web

from hfproxy.upstream.refs import RepoType

from ..answers import json_answer
from ..call import Call
from ..describe import Description, check_expand
from ..paging import limit_of, page
from ..refusals import BadRequest
from ..routing import API_SEGMENTS, Routes
from ..shelf import found, in_order

routes = Routes()

MOST_TRENDING = 20


@routes.get("/api/models", "/api/datasets", "/api/spaces", "/api/kernels")
async def listing(call: Call) -> web.StreamResponse:
    repo_type = API_SEGMENTS[call.raw_path.strip("/").rpartition("/")[2]]
    expand = call.values("expand")
    options = {name: call.flag(query) for name, query in _OPTIONS.items()}
    if expand and any(options.values()):
        raise BadRequest('"expand" cannot be used with "full", "cardData" or "config"')
    fields = check_expand(repo_type, expand)
    shown, headers = page(call, found(call, repo_type), limit_of(call, 1000))
    described = [Description(call.hub, repo) for repo in shown]
    return json_answer(
        [each.fields(fields) if fields else each.in_list(**options) for each in described], headers=headers
    )


_OPTIONS = {"full": "full", "card": "cardData", "config": "config"}


@routes.get("/api/trending")
async def trending(call: Call) -> web.StreamResponse:
    kind = call.value("type") or "all"
    if kind not in {"all", "model", "dataset", "space"}:
        raise BadRequest('"type" must be one of [all, model, dataset, space]')
    seen = [
        repo
        for repo in call.hub.repos
        if not repo.is_private and kind in ("all", repo.repo_type.value) and repo.repo_type is not RepoType.KERNEL
    ]
    limit = limit_of(call, 10, longest=MOST_TRENDING)
    names = ("author", "likes", "downloads", "lastModified", "private", "gated", "pipeline_tag")
    return json_answer(
        {
            "recentlyTrending": [
                {"repoType": repo.repo_type.value, "repoData": Description(call.hub, repo).fields(names)}
                for repo in in_order(seen, "trendingScore")[:limit]
            ]
        }
    )


@routes.get("/api/quicksearch")
async def quicksearch(call: Call) -> web.StreamResponse:
    """The first few repositories and accounts whose names have a text in them."""
    text = (call.value("q") or "").casefold()
    limit = limit_of(call, 5, longest=20)
    kinds = call.values("type")
    told: dict[str, Any] = {"q": text}
    for segment, repo_type in API_SEGMENTS.items():
        if kinds and not {"all", repo_type.value} & set(kinds):
            continue
        hits = [
            repo
            for repo in call.hub.repos.of_type(repo_type)
            if text in repo.repo_id.casefold() and call.hub.rights.sees(call.caller, repo)
        ]
        told[segment] = [
            {"_id": repo.record.oid, "id": repo.repo_id, "trendingWeight": repo.record.trending_score}
            | ({"private": True} if repo.is_private else {})
            for repo in in_order(hits, "trendingScore")[:limit]
        ]
        told[f"{segment}Count"] = len(hits)
    for key, kind in (("users", "user"), ("orgs", "org")):
        if kinds and not {"all", kind} & set(kinds):
            continue
        people = [each for each in call.hub.accounts if each.kind == kind and text in each.name.casefold()]
        name_key = "user" if kind == "user" else "name"
        told[key] = [
            {name_key: each.name, "fullname": each.fullname or each.name, "avatarUrl": each.avatar_url}
            for each in people[:limit]
        ]
    return json_answer(told)


@routes.get("/api/models-tags-by-type", "/api/datasets-tags-by-type")
async def tags_by_type(call: Call) -> web.StreamResponse:
    """Every tag in use, under its kind: its prefix, or the field of the card that it comes from."""
    repo_type = RepoType.MODEL if "models-" in call.raw_path else RepoType.DATASET
    wanted = call.value("type")
    counted: Counter[tuple[str, str]] = Counter()
    for repo in call.hub.repos.of_type(repo_type):
        if repo.is_private:
            continue
        described = Description(call.hub, repo)
        for tag in described.value("tags"):
            counted[_kind_of(tag, described), tag] += 1
    told: dict[str, list[dict[str, Any]]] = {}
    for (kind, tag), _ in counted.most_common():
        if wanted in (None, kind):
            told.setdefault(kind, []).append({"id": tag, "label": tag.rpartition(":")[2], "type": kind})
    return json_answer(told)


def _kind_of(tag: str, described: Description) -> str:
    prefix, colon, _ = tag.partition(":")
    if colon:
        return prefix
    if tag == described.value("pipeline_tag"):
        return "pipeline_tag"
    if tag == described.value("library_name"):
        return "library"
    languages = (described.card or {}).get("language") or ()
    return "language" if tag in languages else "other"
