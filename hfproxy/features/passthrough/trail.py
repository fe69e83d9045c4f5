"""Which relayed calls are kept in the audit trail, and under which words."""

from typing import Any

from hfproxy.upstream.calls import SAFE_METHODS, Kind, Right
from hfproxy.upstream.routes import Route

_ACTIONS = {
    Kind.CREATE: "repo.create",
    Kind.DELETE: "repo.delete",
    Kind.MOVE: "repo.move",
    Kind.DUPLICATE: "repo.duplicate",
    Kind.DUPLICATE_LFS: "repo.duplicate-lfs",
    Kind.COMMIT: "repo.commit",
    Kind.GIT_PUSH: "repo.push",
    Kind.DISCUSSIONS: "repo.discussion",
}
# Steps of an upload: nothing is changed until the commit names what was uploaded.
_STEPS = frozenset({Kind.PREUPLOAD, Kind.LFS_BATCH, Kind.LFS_VERIFY, Kind.XET_WRITE_TOKEN, Kind.GIT_REFS})


def changes_something(method: str, route: Route) -> bool:
    """Whether a call may leave the Hub different from what it was."""
    return route.right is not Right.READ and method not in SAFE_METHODS and route.kind not in _STEPS


def action_of(method: str, target: str, route: Route) -> tuple[str, dict[str, Any]]:
    """The action's name, and what was asked: the path for what has no name of its own; never a query or a body."""
    path = target.partition("?")[0]
    if route.kind in _ACTIONS:
        revision = {"revision": route.revision} if route.kind is Kind.COMMIT and route.revision else {}
        return _ACTIONS[route.kind], revision
    if path.endswith("/settings") and method == "PUT" and route.repo is not None:
        return "repo.settings", {}
    return f"hub.{method.lower()}", {"path": path}
