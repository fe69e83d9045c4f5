"""`hfproxy cache export` and `import`: what is kept goes where no Hub is, and what is there already is taken in."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfproxy.cli.cache import human, named, with_store
from hfproxy.cli.terminal import err, fail, out, read_settings

if TYPE_CHECKING:
    from rich.progress import Progress

    from hfproxy.storage.blobs import BlobStore
    from hfproxy.storage.database import Database
    from hfproxy.upstream.refs import RepoRef

_STDIO = Path("-")


def export(
    names: Annotated[list[str], typer.Argument(metavar="REPO[@REV]...", help="As `cache pin` takes them.")],
    file: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write; `-` for standard output.")],
) -> None:
    """Write a bundle of kept repositories, for a gateway that cannot reach the Hub.

    What only some may see stays marked so: it is nobody's there but that gateway's own callers'.
    """
    from hfproxy.features.files.rights import audience
    from hfproxy.features.stocking.exporting import Exporter, NotExportable
    from hfproxy.upstream.credentials import NOBODY, Credential

    wanted = [named(name) for name in names]
    token = read_settings().settings.upstream.token
    credential = Credential("gateway", token.get_secret_value()) if token is not None else NOBODY

    async def work(blobs: "BlobStore", database: "Database") -> "tuple[int, tuple[str, ...]]":
        exporter = Exporter(database=database, blobs=blobs, audience=audience(credential))
        plan = await exporter.plan(wanted)
        # Two that write the same bundle at once each have a draft of their own. What is no file, a device or a named
        # pipe, is written to as it is: to put a file in its place takes it from everybody.
        is_file = file != _STDIO and (file.is_file() or not file.exists())
        draft = file.with_name(f".{file.name}.{os.getpid()}.part") if is_file else file
        try:
            with ExitStack() as stack:
                written = sys.stdout.buffer if file == _STDIO else stack.enter_context(draft.open("wb"))
                with _progress("exporting") as progress:
                    bar = progress.add_task("exporting", total=plan.size_bytes)
                    await exporter.write(plan, written, progressed=lambda more: progress.advance(bar, more))
            if is_file:
                draft.replace(file)
        finally:
            if is_file:
                draft.unlink(missing_ok=True)
        for repo in plan.manifest.repositories:
            err.print(
                f"{repo.repo}@{repo.commit_hash[:8]}: {len(repo.files)} files, {repo.access}"
                + ("" if repo.answers else "; its listing is not kept, so whole downloads will not work offline"),
                highlight=False,
            )
        return plan.size_bytes, plan.left_out

    try:
        size_bytes, left_out = with_store(work)
    except (NotExportable, OSError) as error:
        fail(str(error))
    if left_out:
        err.print(
            f"{len(left_out)} known files are not kept whole, and left out; cache warm fetches them", highlight=False
        )
    err.print(f"{human(size_bytes)} exported", highlight=False)


def import_(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="A bundle (`-` for standard input), or the folder of a client's cache (HF_HOME); unset: this user's."
        ),
    ] = None,
    keep_pinned: Annotated[bool, typer.Option("--pin", help="Pin the repositories of a bundle.")] = False,
    names: Annotated[
        bool,
        typer.Option(
            "--names",
            help="Of a client's cache also what files are called: offline, all whom we answer for may read them.",
        ),
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="REPO", help="With --names: these repositories alone; repeatable.")
    ] = None,
) -> None:
    """Take in a bundle of another gateway, or the files that a Hub client has downloaded on this machine.

    Every file is checked against its hash. Of a client's cache only bytes are taken, and the Hub says what they are
    called; with --names the cache is believed, and a gateway that is offline by its settings serves them.
    """
    if only and not names:
        raise typer.BadParameter("--only goes with --names: bytes are taken without their names")
    place = source or _cache_of_this_user()
    if place != _STDIO and not place.exists():
        fail(f"{place} does not exist")
    if place != _STDIO and place.is_dir():
        whose = [named(name)[0].folded for name in only or ()] if names else None
        _import_cache(place / "hub" if (place / "hub").is_dir() else place, whose)
    elif names:
        raise typer.BadParameter("--names is for a client's cache: a bundle brings its names")
    else:
        _import_bundle(place, keep_pinned)


def _import_cache(folder: Path, named_repos: "list[RepoRef] | None") -> None:
    """named_repos: whose names are taken, all where it is empty; None: nobody's."""
    from hfproxy.features.stocking.client_cache import Unusable, cached_files, take_in_cached

    found = list(cached_files(folder))
    if not found:
        fail(f"{folder} holds no files of a Hub client: it has no folders such as models--owner--name")

    async def work(blobs: "BlobStore", database: "Database") -> "tuple[int, list[str]]":
        new, problems = 0, list[str]()
        with _progress("importing") as progress:
            bar = progress.add_task("importing", total=sum(cached.size_bytes for cached in found))
            for cached in found:
                try:
                    new += await take_in_cached(cached, blobs, progressed=lambda more: progress.advance(bar, more))
                except Unusable as error:
                    problems.append(str(error))
        if named_repos is not None:
            await _take_names(folder, named_repos, blobs, database)
        return new, problems

    new, problems = with_store(work)
    out.print(f"{new} files taken in, {len(found) - new - len(problems)} were there", highlight=False)
    if problems:
        fail(f"{len(problems)} files were not taken:", *problems)


async def _take_names(folder: Path, only: "list[RepoRef]", blobs: "BlobStore", database: "Database") -> None:
    from hfproxy.features.stocking.client_names import names_in
    from hfproxy.features.stocking.importing import name_all

    kept = {info.key: info.size_bytes async for info in blobs.list() if info.complete}
    found = names_in(folder, kept, only=only)
    await name_all(database, found.manifest, found.bodies)
    for repo in found.manifest.repositories:
        told = f"{repo.repo}@{repo.commit_hash[:8]}"
        lacks = "; no listing is kept, so that files may lack" if told in found.incomplete else ""
        out.print(f"{told}: {len(repo.files)} files, {repo.access}{lacks}", highlight=False)


def _import_bundle(place: Path, keep_pinned: bool) -> None:
    from hfproxy.features.stocking.importing import BadBundle, BundleReader, name_all
    from hfproxy.storage import pins
    from hfproxy.upstream.refs import RepoRef

    async def work(blobs: "BlobStore", database: "Database") -> None:
        with ExitStack() as stack:
            file = sys.stdin.buffer if place == _STDIO else stack.enter_context(place.open("rb"))
            reader = BundleReader(file)
            with _progress("importing") as progress:
                bar = progress.add_task("importing", total=sum(reader.blobs.values()))
                bodies = await reader.copy_to(blobs, progressed=lambda more: progress.advance(bar, more))
        await name_all(database, reader.manifest, bodies)
        for repo in reader.manifest.repositories:
            if keep_pinned:
                await pins.pin(database, str(RepoRef.parse_printed(repo.repo).folded), repo.commit_hash)
            out.print(f"{repo.repo}@{repo.commit_hash[:8]}: {len(repo.files)} files, {repo.access}", highlight=False)

    try:
        with_store(work)
    except (BadBundle, OSError) as error:
        fail(f"{place}: {error}", "No name of it is known now; files that were right stay, and are not copied again.")


def _cache_of_this_user() -> Path:
    """As `huggingface_hub` finds it (`constants.py`)."""
    if (cache := os.environ.get("HF_HUB_CACHE")) is not None:
        return Path(cache)
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(home).expanduser() / "hub"


def _progress(what: str) -> "Progress":
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err)
