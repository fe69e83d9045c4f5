"""Raw paths, read once."""

import pytest

from hfproxy.sandbox.refusals import BadRequest
from hfproxy.sandbox.routing import Match, Routes, matches, split
from hfproxy.upstream.refs import RepoType


def never(repo_type: RepoType, name: str) -> bool:
    return False


def knows_gpt2(repo_type: RepoType, name: str) -> bool:
    return (repo_type, name) == (RepoType.MODEL, "gpt2")


def read(pattern: str, path: str) -> Match | None:
    return next(matches(split(pattern), split(path), never), None)


@pytest.mark.parametrize(
    ("pattern", "path", "repo_type", "repo_id", "params"),
    [
        ("/api/{types}/{repo}", "/api/datasets/acme/demo", RepoType.DATASET, "acme/demo", {}),
        ("/api/{types}/{repo}", "/api/models/acme/demo/", RepoType.MODEL, "acme/demo", {}),
        (
            "/api/{types}/{repo}/tree/{revision}/{path:rest}",
            "/api/models/acme/demo/tree/refs%2Fpr%2F1/a%2Fb.txt",
            RepoType.MODEL,
            "acme/demo",
            {"revision": "refs/pr/1", "path": "a/b.txt"},
        ),
        (
            "/{web}/{repo}/resolve/{revision}/{path:rest}",
            "/spaces/acme/resolve/resolve/main/100%25/a%20b%3F.txt",
            RepoType.SPACE,
            "acme/resolve",
            {"revision": "main", "path": "100%/a b?.txt"},
        ),
        (
            "/{web}/{repo.git}/info/lfs/objects/batch",
            "/acme/demo.git/info/lfs/objects/batch",
            RepoType.MODEL,
            "acme/demo",
            {},
        ),
    ],
)
def test_a_path_is_split_before_it_is_decoded(
    pattern: str, path: str, repo_type: RepoType, repo_id: str, params: dict[str, str]
) -> None:
    match = read(pattern, path)
    assert match is not None
    assert (match.repo_type, match.repo_id, match.params) == (repo_type, repo_id, params)


@pytest.mark.parametrize("path", ["/api/models", "/api/papers/acme/demo", "/api/models//demo", "/api/models/a/b/c"])
def test_what_is_no_repository_does_not_match(path: str) -> None:
    assert read("/api/{types}/{repo}", path) is None


async def _refs(call: object) -> None: ...


async def _info(call: object) -> None: ...


@pytest.fixture
def routes() -> Routes:
    routes = Routes()
    routes.get("/api/{types}/{repo}/refs")(_refs)  # type: ignore[arg-type]
    routes.get("/api/{types}/{repo}")(_info)  # type: ignore[arg-type]
    return routes


@pytest.mark.parametrize(
    ("path", "handler", "repo_id"),
    [
        ("/api/models/alice/refs", _info, "alice/refs"),
        ("/api/models/alice/refs/refs", _refs, "alice/refs"),
        ("/api/models/gpt2/refs", _refs, "gpt2"),
        ("/api/models/gpt2", _info, "gpt2"),
        ("/api/models/unknown", _info, "unknown"),
    ],
)
def test_a_bare_name_is_the_last_guess_unless_it_is_known(
    routes: Routes, path: str, handler: object, repo_id: str
) -> None:
    found = routes.find("GET", path, knows_gpt2)
    assert found is not None
    assert (found[0], found[1].repo_id) == (handler, repo_id)


def test_head_is_answered_like_get(routes: Routes) -> None:
    assert routes.find("HEAD", "/api/models/alice/demo", never)
    assert routes.find("POST", "/api/models/alice/demo", never) is None


def test_bytes_that_are_no_text_are_a_bad_request(routes: Routes) -> None:
    with pytest.raises(BadRequest):
        routes.find("GET", "/api/models/%ff/demo", never)
