"""What the body of a call says it is about (contract 2.1 to 2.5, 3.5, 6), read for who may send it."""

from typing import Any

from hfproxy.upstream.calls import Kind
from hfproxy.upstream.documents import read_object
from hfproxy.upstream.refs import BadReference, BucketRef, HubRef, RepoRef, RepoType

_IN_COLLECTIONS = frozenset({*(repo_type.value for repo_type in RepoType), "bucket"})


def body_lines(body: bytes) -> list[bytes]:
    """The lines of a body of many (NDJSON), wherever somebody might end one."""
    return [line for line in body.splitlines() if line.strip()]


def sources_in_line(line: bytes) -> list[HubRef | None]:
    """What one operation of a bucket's batch reads from (contract 6); None for what is not said readably."""
    operation = read_object(line)
    told = {name.lower() for name in operation}
    if operation.get("type") in {"addFile", "deleteFile"} and not any(name.startswith("source") for name in told):
        return []
    source_type, source_id = operation.get("sourceRepoType"), operation.get("sourceRepoId")
    if operation.get("type") != "copyFile" or not isinstance(source_type, str) or not isinstance(source_id, str):
        return [None]
    try:
        return [_parsed(source_type, source_id)]
    except BadReference:
        return [None]


def items_of(document: dict[str, Any]) -> tuple[HubRef, ...]:
    """The repository that is put into a collection; what else may be in one is nobody's. Raises BadReference."""
    item = document.get("item")
    kind = item.get("type") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(kind, str) or kind not in _IN_COLLECTIONS:
        return ()
    return (_parsed(kind, str(item.get("id"))),)


def _parsed(kind: str, repo_id: str) -> HubRef:
    return BucketRef.parse(repo_id) if kind in {"bucket", "buckets"} else RepoRef.parse(RepoType.parse(kind), repo_id)


def named_in(document: dict[str, Any], kind: Kind, original: RepoRef | None) -> tuple[HubRef, ...]:
    """The repositories that such a body names; original: the one in the path. Raises BadReference.

    A creation without an owner is in the token's own namespace: its reference has none.
    """
    if kind is Kind.DUPLICATE_LFS:
        target = document.get("target")
        document = target if isinstance(target, dict) else {}
    repo_type = document.get("type") or (original.repo_type.value if original is not None else "model")
    if not isinstance(repo_type, str):
        raise BadReference("'type' must be a string")
    if kind is Kind.DUPLICATE and original is not None:
        # A copy is of its original's type: a Hub that asks for none does not look at one that is given.
        repo_type = original.repo_type.value
    if kind is Kind.MOVE:
        names = [document.get("fromRepo"), document.get("toRepo")]
    elif kind is Kind.DUPLICATE:
        names = [document.get("repository")]
    elif kind is Kind.DUPLICATE_LFS:
        names = [document.get("name")]
    else:
        owner, name = document.get("organization"), document.get("name")
        names = [f"{owner}/{name}" if owner and isinstance(name, str) and "/" not in name else name]
    if not all(isinstance(name, str) for name in names):
        raise BadReference("the body names no repository")
    return tuple(_parsed(repo_type, str(name)) for name in names)
