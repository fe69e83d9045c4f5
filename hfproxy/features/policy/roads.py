"""What a call to the Hub demands of the rules: an action on a repository, and on which of its files.

`upstream/routes.py` reads the path; this says what may come of it. A road that is not known here is taken for the one
that could carry most: any file of the repository it names, or of any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from hfproxy.features.policy.matching import ANY, NONE, Unnamed
from hfproxy.features.policy.models import Action
from hfproxy.features.policy.service import ANY_REPO, NO_REPO, Subject
from hfproxy.upstream.calls import (
    MORE_PAGES,
    PAGES,
    SAFE_METHODS,
    SERVICES,
    SPACE_SERVICES,
    UNKNOWN,
    VERBS,
    Changes,
    Kind,
    Right,
)
from hfproxy.upstream.refs import BadReference, FileRef, RepoRef, RepoType
from hfproxy.upstream.routes import Route

_LONGEST_PATH = 1024


@dataclass(frozen=True, slots=True)
class Demand:
    """One thing that must be allowed. file: as in `matching.Asked`."""

    action: Action
    subject: Subject
    file: str | Unnamed = NONE


_TYPES = {repo_type.api_segment: repo_type for repo_type in RepoType}
_PAGES = PAGES | MORE_PAGES


def demands(method: str, raw_target: str, route: Route) -> Sequence[Demand]:
    """All that a call demands; nothing for calls that tell nothing of any repository."""
    told = _demands(method, raw_target, route)
    if route.reaches:
        return [*told, Demand(Action.READ, ANY_REPO, ANY)]
    # A copy may be of any file of what it is made from; a collection shows that a repository is there, and no file.
    file = NONE if route.kind is Kind.COLLECTION else ANY
    return [*told, *(Demand(Action.READ, Subject.of(source), file) for source in route.sources)]


def _demands(method: str, raw_target: str, route: Route) -> Sequence[Demand]:
    if route.shared or route.kind is Kind.OAUTH:
        return ()
    raw_path, _, query = raw_target.partition("?")
    segments = [unquote(segment, errors="replace") for segment in raw_path.split("/") if segment]
    if route.bucket is not None and route.kind is not Kind.MOVE:
        subject = Subject.of(route.bucket)
        if route.kind is Kind.DELETE:
            return [Demand(Action.DELETE, subject)]
        return [_of_a_bucket(method, segments, route, subject)]
    if not route.named:
        return [_of_no_repo(method, segments, route)]
    subject = Subject.of(route.named[0])
    reads = route.right is Right.READ or (route.right is Right.ACCOUNT and method in SAFE_METHODS)
    match route.kind:
        case Kind.RESOLVE | Kind.RAW | Kind.RESOLVE_CACHE if reads:
            return [Demand(Action.READ, subject, _named_file(raw_path, segments, route))]
        case Kind.INFO | Kind.TREE | Kind.PATHS_INFO if reads:
            return [Demand(Action.READ, subject)]
        case Kind.PREUPLOAD | Kind.COMMIT | Kind.XET_WRITE_TOKEN | Kind.LFS_VERIFY:
            return [Demand(Action.WRITE, subject)]
        case Kind.LFS_BATCH:
            return [Demand(Action.READ, subject, ANY) if reads else Demand(Action.WRITE, subject)]
        case Kind.XET_READ_TOKEN | Kind.GIT_FETCH if reads:
            return [Demand(Action.READ, subject, ANY)]
        case Kind.GIT_REFS | Kind.GIT_PUSH:
            return [Demand(Action.READ if reads else Action.WRITE, subject, ANY)]
        case Kind.CREATE:
            return [Demand(Action.CREATE, Subject.of(ref)) for ref in route.repos]
        case Kind.DELETE:
            return [Demand(Action.DELETE, Subject.of(ref)) for ref in route.repos]
        case Kind.MOVE:
            return [Demand(Action.MANAGE, subject), Demand(Action.CREATE, _second(route))]
        case Kind.DUPLICATE:
            return [Demand(Action.READ, subject, ANY), Demand(Action.CREATE, _second(route))]
        case Kind.DUPLICATE_LFS:
            return [Demand(Action.READ, subject, ANY), Demand(Action.WRITE, _second(route), ANY)]
    if reads:
        file = _told(segments[0] == "api", route.rest, dict(parse_qsl(query, keep_blank_values=True)))
        return [Demand(Action.READ, subject, file)]
    return [_change(subject, route.rest)]


def _second(route: Route) -> Subject:
    return Subject.of(route.named[1]) if len(route.named) > 1 else ANY_REPO


def _told(api: bool, rest: Sequence[str], query: dict[str, str]) -> str | Unnamed:
    """The file that such a call tells of."""
    verb, more = (rest[0], rest[1:]) if rest else ("", ())
    if verb == "discussions":
        # A pull request's page and its `diff` show what stands in files.
        return ANY if any("diff" in name.lower() for name in query) or (more and not api) else NONE
    if verb == "blob" or (verb == "notebook" and api):
        return _at_revision(more[0], "/".join(more[1:])) if more else ANY
    if verb == "safetensors-metadata":
        return canonical("/".join(more)) if more else ANY
    if verb == "parquet":
        # Converted files have names of their own, which `resolve` at refs/convert/parquet knows too.
        return canonical("/".join(more)) if more and more[-1].endswith(".parquet") else NONE
    if not verb:
        return "README.md"  # a repository's page shows its card
    return ANY if VERBS.get(verb, UNKNOWN).tells_content else NONE


def _change(subject: Subject, rest: Sequence[str]) -> Demand:
    rest = [segment.lower() for segment in rest]
    match VERBS.get(rest[0], UNKNOWN).changes if rest else Changes.CONTENT:
        case Changes.TALK if rest[-1] != "merge":
            return Demand(Action.DISCUSS, subject)
        case Changes.KEEPING:
            return Demand(Action.MANAGE, subject)
        case Changes.REFS:
            return Demand(Action.WRITE, subject, NONE)
    return Demand(Action.WRITE, subject, ANY)


def _of_a_bucket(method: str, segments: Sequence[str], route: Route, subject: Subject) -> Demand:
    reads = route.right is Right.READ
    if segments[0] == "buckets":
        return Demand(Action.READ if reads else Action.WRITE, subject, canonical("/".join(segments[4:])))
    verb = segments[4].lower() if len(segments) > 4 else ""
    if reads:
        return Demand(Action.READ, subject, NONE if verb in {"", "tree", "paths-info", "settings"} else ANY)
    if not verb:
        actions = {"POST": Action.CREATE, "DELETE": Action.DELETE}
        return Demand(actions.get(method, Action.MANAGE), subject)
    if route.kind in {Kind.XET_WRITE_TOKEN, Kind.BUCKET_BATCH}:
        return Demand(Action.WRITE, subject)  # of what files, is said by the batch
    keeping = VERBS.get(verb, UNKNOWN).changes is Changes.KEEPING
    return Demand(Action.MANAGE, subject) if keeping else Demand(Action.WRITE, subject, ANY)


def _of_no_repo(method: str, segments: Sequence[str], route: Route) -> Demand:
    reads = route.right is Right.READ or (route.right is Right.ACCOUNT and method in SAFE_METHODS)
    action = Action.READ if reads else Action.WRITE
    if route.kind in {Kind.CREATE, Kind.DELETE, Kind.MOVE}:
        told = {Kind.CREATE: Action.CREATE, Kind.DELETE: Action.DELETE, Kind.MOVE: Action.MANAGE}
        return Demand(told[route.kind], ANY_REPO)
    match segments:
        case ["api", types] if types in _TYPES and reads:
            return Demand(Action.LIST, Subject(_TYPES[types].value, NONE))
        case ["api", "spaces", service, *_] if service in SPACE_SERVICES:
            return Demand(Action.LIST if reads else Action.MANAGE, Subject("space", NONE))
        case [] | ["api"]:
            return Demand(Action.LIST if reads else Action.MANAGE, NO_REPO)
        case ["api", root, *_] if ("api", root) in SERVICES:
            return Demand(Action.LIST if reads else Action.MANAGE, NO_REPO)
        case [types] if types in _TYPES:
            return Demand(Action.LIST if reads else Action.MANAGE, Subject(_TYPES[types].value, NONE))
        case [page, *_] if page in _PAGES:
            return Demand(Action.LIST if reads else Action.MANAGE, NO_REPO)
        case [name] if reads:
            try:
                # The page of one of the few old models without an owner, or of an account.
                return Demand(Action.READ, Subject.of(RepoRef.parse(RepoType.MODEL, name)), "README.md")
            except BadReference:
                pass
    return Demand(action, ANY_REPO, ANY)


def _named_file(raw_path: str, segments: Sequence[str], route: Route) -> str | Unnamed:
    if route.kind is Kind.RESOLVE_CACHE:
        # /api/resolve-cache/{types}/{owner}/{name}/{commit}/{path}
        assert route.repo is not None
        begin = 4 + route.repo.repo_id.count("/") + 1
        return ANY if "//" in raw_path else canonical("/".join(segments[begin:]))
    try:
        return file_of(FileRef.parse(raw_path, verb=route.kind.value))
    except BadReference:
        return ANY


def file_of(ref: FileRef) -> str | Unnamed:
    """The file as rules read it; ANY where revision and path may be divided elsewhere."""
    return _at_revision(ref.revision, ref.path)


def _at_revision(revision: str, path: str) -> str | Unnamed:
    # A Hub that is patient with slashes reads `refs/pr/1/x` as the file x of a pull request.
    return ANY if revision == "refs" else canonical(path)


def canonical(path: str) -> str | Unnamed:
    """A path as rules read it; ANY for one that others may read as another."""
    parts = path.split("/")
    strange = any(part in {"", ".", ".."} or "\0" in part or "\\" in part for part in parts)
    return ANY if strange or len(path) > _LONGEST_PATH else path
