"""`hfproxy cache`: what is kept, looked at and looked after; a gateway may run meanwhile."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from hfproxy.cli.examples import examples
from hfproxy.cli.kept import Named, human, named, quiet_settings, with_store
from hfproxy.cli.terminal import Json, err, fail, out, print_json, progress_bar
from hfproxy.starting import CannotStart

if TYPE_CHECKING:
    from hfproxy.settings import Settings
    from hfproxy.storage.blobs import BlobInfo, BlobKey, BlobStore
    from hfproxy.storage.database import Database


app = typer.Typer(help="Look at and look after the files that are kept.", no_args_is_help=True)


def _size(text: str) -> int:
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise typer.BadParameter("must be a size such as 500MB or 20GiB") from None


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
        settings = quiet_settings()
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
