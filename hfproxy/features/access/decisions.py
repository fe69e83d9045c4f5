"""May this caller do this? The one place that says so, for our own calls and for relayed Hub paths alike.

A reader's key reads, a writer's key does the rest; a key with patterns does so on the repositories they mean and sees
nothing else. A caller with a Hub token of their own passes here as a writer: the Hub decides about them.
"""

from hfproxy.downstream.access import Caller, Role, require
from hfproxy.errors import CallerNotAllowed
from hfproxy.features.access.patterns import covers
from hfproxy.upstream.refs import BucketRef, HubRef


def require_repos(caller: Caller, role: Role, *refs: HubRef) -> None:
    """Passes if the caller has the role on all these repositories. Raises CallerUnknown or CallerNotAllowed."""
    require(caller, role)
    for ref in refs:
        if caller.repos is not None and role >= Role.WRITER and ref.namespace is None:
            # The Hub would put in the token's own account: not what a pattern for `gpt2` means.
            raise CallerNotAllowed(f"the key {caller.name} is limited: say who owns {ref}, as owner/name")
        if caller.repos is not None and isinstance(ref, BucketRef) and ref.is_of_who_asks:
            raise CallerNotAllowed(f"the key {caller.name} is limited, and the Hub did not say who `me` is in {ref}")
        if not covers(caller.repos, ref):
            assert caller.repos is not None
            raise CallerNotAllowed(f"the key {caller.name} is not for {ref}; it is for {', '.join(caller.repos)}")


def require_hub_call(
    caller: Caller, method: str, *refs: HubRef, role: Role | None = None, shared: bool = False
) -> None:
    """Passes if the caller may send this call to the Hub. Raises CallerUnknown or CallerNotAllowed.

    refs: the repositories and buckets that the path and the body name. role: what the call needs where its method
    misleads (some reads are POSTs). shared: it names no repository and tells nothing that a limited key must not see.
    """
    needed = Role.for_method(method) if role is None else role
    require_repos(caller, needed, *refs)
    if caller.repos is not None and not refs and not (shared and needed is Role.READER):
        raise CallerNotAllowed(f"the key {caller.name} is for {', '.join(caller.repos)}; this call names no repository")
