"""What a caller must be for a relayed call."""

from hfproxy.downstream.access import Caller, Role
from hfproxy.errors import CallerNotAllowed, CallerUnknown
from hfproxy.features.access.decisions import require_hub_call, require_repos
from hfproxy.upstream.calls import Right
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.routes import Route

_ROLES = {Right.READ: Role.READER, Right.WRITE: Role.WRITER, Right.ACCOUNT: Role.ADMIN}


def check_rights(caller: Caller, acting: Credential, method: str, route: Route) -> None:
    """Passes if the caller may send this. Raises CallerUnknown or CallerNotAllowed.

    What shows or changes an account is for administrators where the account is the gateway's; callers who act with a
    token of their own see their own account, and the Hub judges what they may. What clients ask without showing their
    key is answered to everybody.
    """
    if goes_without_rights(caller, route):
        return
    role = _ROLES[route.right]
    if caller.repos is not None and route.lacks_name:
        raise CallerNotAllowed(f"the key {caller.name} is limited, and this call's body does not say where it leads")
    if caller.repos is not None and route.reaches:
        raise CallerNotAllowed(f"the key {caller.name} is limited, and this could read what the call does not name")
    if role is Role.ADMIN and acting.owner == "caller":
        role = Role.READER
    if route.is_git and caller.kind == "anonymous" and Role.NONE < caller.role < role:
        # git and git-lfs show the key that they have when they are asked for it, by 401, and not before.
        raise CallerUnknown(f"this needs the role {role}: send a gateway key or a Hub token as git's password")
    require_hub_call(caller, method, *route.named, role=role, shared=route.shared)
    if route.sources:
        require_repos(caller, Role.READER, *route.sources)


def goes_without_rights(caller: Caller, route: Route) -> bool:
    """Whether the call passes though its caller may do nothing: then the Hub is asked without any token."""
    return route.bare and caller.role is Role.NONE
