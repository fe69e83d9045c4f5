"""`hfproxy cache`: what is kept, looked at and looked after; a gateway may run meanwhile."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hfproxy.cli.examples import examples
from hfproxy.cli.terminal import Json, err, fail, out, print_json, progress_bar, read_settings
from hfproxy.starting import CannotStart

if TYPE_CHECKING:
    from hfproxy.settings import Settings
    from hfproxy.storage.blobs import BlobInfo, BlobKey, BlobStore
    from hfproxy.storage.database import Database
    from hfproxy.upstream.refs import RepoRef

T = TypeVar("T")
Named = Annotated[
    str,
    typer.Argument(
        metavar="REPO[@REV]", help="`owner/name`, `datasets/owner/name@branch`, `spaces/owner/name@commit`."
    ),
]
TypeOption = Annotated[
    str | None, typer.Option("--type", help="`model`, `dataset`, `space` or `kernel`, instead of a prefix.")
]

app = typer.Typer(help="Look at and look after the files that are kept.", no_args_is_help=True)


def _size(text: str) -> int:
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise typer.BadParameter("must be a size such as 500MB or 20GiB") from None


def named(text: str, repo_type: str | None = None) -> "tuple[RepoRef, str | None]":
    """A repository, and the revision behind the @; a commit hash in the one spelling that is kept."""
    from hfproxy.upstream.refs import BadReference, RepoRef, RepoType, is_commit_hash

    name, at, revision = text.partition("@")
    if at and not revision:
        raise typer.BadParameter(f"{text!r} names no revision behind its @")
    try:
        repo = RepoRef.parse(RepoType.parse(repo_type), name) if repo_type else RepoRef.parse_printed(name)
    except BadReference as error:
        raise typer.BadParameter(str(error)) from None
    return repo, (revision.lower() if is_commit_hash(revision) else revision) or None


def _time(text: str) -> timedelta:
    from pydantic import TypeAdapter, ValidationError

    from hfproxy.settings import Duration

    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("must be a time such as 12h or 30d") from None


@app.command(epilog=examples("hfproxy cache stats --json"))
def stats(as_json: Json = False) -> None:
    """Show how much is kept."""
    from hfproxy.features.files import upkeep

    found = with_store(lambda blobs, _: upkeep.stats(blobs))
    if as_json:
        print_json(asdict(found))
        return
    out.print(f"{found.complete} whole files, {human(found.complete_bytes)}", highlight=False)
    out.print(f"{found.partial} files on their way, {human(found.partial_bytes)}", highlight=False)


@app.command("list", epilog=examples("hfproxy cache list"))
def list_repositories(as_json: Json = False) -> None:
    """List the repositories of which something is known, largest first."""
    from rich.table import Table

    from hfproxy.features.files import upkeep

    found = with_store(lambda _, database: upkeep.repositories(database))
    if as_json:
        rows = [
            {"repo": each.repo, "files": each.files, "bytes": each.size_bytes, "pinned": each.pins} for each in found
        ]
        print_json(rows)
        return
    table = Table("repository", "files", "bytes", "pinned", box=None, pad_edge=False)
    for each in found:
        pins = ", ".join(revision or "all" for revision in each.pins)
        table.add_row(each.repo, str(each.files), human(each.size_bytes), pins)
    out.print(table)


@app.command(epilog=examples("hfproxy cache show datasets/acme/support-tickets"))
def show(
    repo: Annotated[str, typer.Argument(help="`owner/name`, `datasets/owner/name`, `spaces/owner/name`.")],
    as_json: Json = False,
) -> None:
    """Show the known files of one repository, and whether their bytes are kept."""
    from rich.table import Table

    from hfproxy.features.files import upkeep

    found = with_store(lambda blobs, database: upkeep.files_of(repo.casefold(), database, blobs))
    if as_json:
        print_json([asdict(file) for file in found])
        return
    if not found:
        fail(f"nothing is known of {repo}")
    table = Table("commit", "file", "bytes", "kept", box=None, pad_edge=False)
    for file in found:
        table.add_row(file.commit_hash[:8], file.path, human(file.size_bytes), file.kept)
    out.print(table)


@app.command(epilog=examples("hfproxy cache pin acme/demo", "hfproxy cache pin acme/demo@main"))
def pin(name: Named) -> None:
    """Keep what is known of a repository, now and later, from being evicted; a running gateway follows in a second.

    A branch or tag is followed: what it leaves behind may go.
    """
    from hfproxy.storage import pins

    repo, revision = named(name)
    with_store(lambda _, database: pins.pin(database, str(repo.folded), revision or pins.ALL))
    out.print(f"{name} is pinned.", highlight=False)


@app.command(epilog=examples("hfproxy cache unpin acme/demo@main"))
def unpin(name: Named) -> None:
    """Let a pinned repository be evicted again."""
    from hfproxy.storage import pins

    repo, revision = named(name)
    if not with_store(lambda _, database: pins.unpin(database, str(repo.folded), revision or pins.ALL)):
        fail(f"{name} is not pinned")
    out.print(f"{name} is not pinned any more.", highlight=False)


@app.command(
    epilog=examples(
        "hfproxy cache warm acme/demo --pin",
        "hfproxy cache warm acme/demo@v1 --include '*.safetensors' --include '*.json'",
    )
)
def warm(
    name: Named,
    repo_type: TypeOption = None,
    include: Annotated[list[str] | None, typer.Option(help="Only files like this, e.g. `*.json`; repeatable.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No files like this; repeatable.")] = None,
    keep_pinned: Annotated[bool, typer.Option("--pin", help="Pin it too.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch a repository now, so that it is there when it is wanted, also offline; a gateway may run meanwhile.

    What is there already is not fetched again: after an interruption it goes on where it was.
    """
    import asyncio

    from hfproxy.errors import ProxyError
    from hfproxy.storage import pins

    repo, revision = named(name, repo_type)
    settings = _quietly()
    try:
        warmed = asyncio.run(_warm(settings, repo, revision, include or [], exclude or []))
    except CannotStart as error:
        fail(str(error), code=error.exit_code)
    except ProxyError as error:
        fail(f"{repo}: {error}")
    if keep_pinned:
        with_store(lambda _, database: pins.pin(database, str(repo.folded), revision or pins.ALL))
    if include and not warmed.fetched + warmed.had + len(warmed.problems):
        fail(f"no file of {repo} is like {', '.join(include)}")
    if as_json:
        print_json(asdict(warmed))
    else:
        told = f"{warmed.fetched} files fetched, {warmed.had} were there, {human(warmed.bytes)} in all"
        out.print(f"{repo}@{warmed.commit_hash[:8]}: {told}", highlight=False)
    if warmed.problems:
        fail(f"{len(warmed.problems)} files are not kept:", *warmed.problems)


@dataclass
class _Warmed:
    """What `warm` did. bytes: of all that was wanted. problems: a line for each file that is not kept."""

    repo: str
    commit_hash: str
    bytes: int
    fetched: int = 0
    had: int = 0
    problems: list[str] = field(default_factory=list)


async def _warm(
    settings: "Settings", repo: "RepoRef", revision: str | None, include: list[str], exclude: list[str]
) -> _Warmed:
    from hfproxy.features.stocking.warming import warmer
    from hfproxy.server import hub_ready

    async with hub_ready(settings) as ready, warmer(ready) as warming:
        planned = await warming.plan(repo, revision, include=include, exclude=exclude)
        done = _Warmed(str(repo), planned.commit_hash, sum(size_bytes for _, size_bytes in planned.files))
        with progress_bar() as progress:
            bar = progress.add_task(f"{repo}", total=done.bytes)
            async for warmed in warming.fetch(planned, progressed=lambda more: progress.advance(bar, more)):
                count = done.had + done.fetched + len(done.problems) + 1
                progress.update(bar, description=f"{repo} {count}/{len(planned.files)}")
                if warmed.problem is not None:
                    done.problems.append(f"{warmed.path}: {warmed.problem}")
                elif warmed.had:
                    done.had += 1
                else:
                    done.fetched += 1
    return done


@app.command(epilog=examples("hfproxy cache prune --to 100GiB --dry-run", "hfproxy cache prune --unused-for 30d"))
def prune(
    to: Annotated[
        int | None,
        typer.Option(parser=_size, metavar="SIZE", help="Delete the least recently used until this is left."),
    ] = None,
    unused_for: Annotated[
        timedelta | None, typer.Option(parser=_time, metavar="TIME", help="Delete what nobody read for so long.")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Delete files that are on their way and idle.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Delete kept files, but for pinned ones; the Hub is asked for them again when somebody wants them."""
    from hfproxy.features.files import upkeep
    from hfproxy.storage.pins import pinned_keys

    if to is None and unused_for is None and not partial:
        raise typer.BadParameter("say what to delete: --to, --unused-for or --partial")
    unused_s = unused_for.total_seconds() if unused_for is not None else None

    async def work(blobs: "BlobStore", database: "Database") -> "list[BlobInfo]":
        pinned = await pinned_keys(database)
        return await upkeep.prune(blobs, pinned=pinned, to_bytes=to, unused_s=unused_s, partial=partial, dry=dry_run)

    gone = with_store(work)
    if as_json:
        told = {"files": len(gone), "bytes": sum(info.size_bytes for info in gone), "dry_run": dry_run}
        print_json(told)
        return
    verb = "would go" if dry_run else "are gone"
    out.print(f"{len(gone)} files {verb}, {human(sum(info.size_bytes for info in gone))}", highlight=False)


@app.command(epilog=examples("hfproxy cache verify --repair"))
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Fetch them again at once, from the Hub.")] = False,
    as_json: Json = False,
) -> None:
    """Read every kept file again and delete those that are not what their hash says.

    Exit code 1 if there were any, with --repair if one could not be fetched again.
    """
    import asyncio

    wrong = with_store(lambda blobs, _: _verify(blobs))
    problems: list[str] = []
    if wrong and repair:
        settings = _quietly()
        try:
            problems = asyncio.run(_fetch_again(settings, wrong))
        except CannotStart as error:
            fail(str(error), code=error.exit_code)
    repaired = len(wrong) - len(problems) if repair else 0
    if as_json:
        print_json({"wrong": [str(key) for key in wrong], "repaired": repaired, "problems": problems})
    elif not wrong:
        out.print("Every kept file is what its hash says.")
    elif repair:
        out.print(f"{len(wrong)} files were wrong, {repaired} are repaired", highlight=False)
    if wrong and not repair:
        for key in wrong:
            err.print(f"{key} was wrong; it is deleted, and will be fetched again", highlight=False)
        raise typer.Exit(1)
    if problems:
        fail(f"{len(problems)} files are deleted, but could not be fetched again:", *problems)


async def _fetch_again(settings: "Settings", keys: "list[BlobKey]") -> list[str]:
    from hfproxy.features.stocking.warming import warmer
    from hfproxy.server import hub_ready

    async with hub_ready(settings) as ready, warmer(ready) as warming:
        return [f"{key}: {problem}" for key in keys if (problem := await warming.fetch_again(key)) is not None]


def _quietly() -> "Settings":
    """The settings for a gateway that works inside a command, whose log is its messages."""
    from hfproxy.logs import set_up_logging

    settings = read_settings().settings
    set_up_logging(settings.logging.model_copy(update={"level": "error"}), secrets=settings.secrets())
    return settings


async def _verify(blobs: "BlobStore") -> "list[BlobKey]":
    from hfproxy.features.files import upkeep

    total = (await upkeep.stats(blobs)).complete_bytes
    wrong = []
    with progress_bar("verifying") as progress:
        bar = progress.add_task("verify", total=total)
        async for info, size_bytes, right in upkeep.verify(blobs):
            progress.advance(bar, size_bytes)
            if right is False:
                wrong.append(info.key)
    return wrong


def with_store(work: "Callable[[BlobStore, Database], Awaitable[T]]") -> T:
    """The outcome of some work on the store and the database that the settings name."""
    import asyncio

    from hfproxy.errors import StorageUnavailable
    from hfproxy.storage.blobs import BlobProblem
    from hfproxy.storage.opening import open_database
    from hfproxy.storage.stores import kept_blobs

    storage = read_settings().settings.storage
    url = storage.database.get_secret_value() if storage.database is not None else None

    async def run() -> T:
        async with open_database(storage.root, url) as database, kept_blobs(storage, database) as blobs:
            return await work(blobs, database)

    try:
        return asyncio.run(run())
    except CannotStart as error:
        fail(str(error), code=error.exit_code)
    except StorageUnavailable as error:
        fail(error.detail)
    except BlobProblem as error:
        fail(str(error))


def human(size_bytes: int) -> str:
    """A size as people read it."""
    from pydantic import ByteSize

    return ByteSize(size_bytes).human_readable(separator=" ")
