"""`hfproxy cache export` and `import`: what is kept goes where no Hub is, and what is there already is taken in."""

import fcntl
import glob
import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from hfproxy.cli.kept import human, named, with_store
from hfproxy.cli.terminal import Json, err, fail, out, print_json, progress_bar, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hfproxy.features.stocking.client_names import Named
    from hfproxy.features.stocking.exporting import Plan
    from hfproxy.features.stocking.manifest import BundledRepo
    from hfproxy.storage.blobs import BlobStore
    from hfproxy.storage.database import Database
    from hfproxy.upstream.refs import RepoRef

_STDIO = Path("-")


def export(
    names: Annotated[list[str], typer.Argument(metavar="REPO[@REV]...", help="As `cache pin` takes them.")],
    file: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write; `-` for standard output.")],
    as_json: Json = False,
) -> None:
    """Write a bundle of kept repositories, for a gateway that cannot reach the Hub.

    What only some may see stays marked so: it is nobody's there but that gateway's own callers'.
    """
    from hfproxy.features.files.rights import audience
    from hfproxy.features.stocking.exporting import Exporter, NotExportable
    from hfproxy.upstream.credentials import NOBODY, Credential

    if as_json and file == _STDIO:
        raise typer.BadParameter("--json needs standard output for itself: name a file with --output")
    wanted = [named(name) for name in names]
    token = read_settings().settings.upstream.token
    credential = Credential("gateway", token.get_secret_value()) if token is not None else NOBODY

    async def work(blobs: "BlobStore", database: "Database") -> "Plan":
        exporter = Exporter(database=database, blobs=blobs, audience=audience(credential))
        plan = await exporter.plan(wanted)
        with _written(file) as written, progress_bar("exporting") as progress:
            bar = progress.add_task("exporting", total=plan.size_bytes)
            await exporter.write(plan, written, progressed=lambda more: progress.advance(bar, more))
        return plan

    try:
        plan = with_store(work)
    except NotExportable as error:
        fail(str(error))
    except OSError as error:
        fail(f"{'standard output' if file == _STDIO else file} cannot be written: {error.strerror}")
    if as_json:
        repositories = [_fields(repo, listed=bool(repo.answers)) for repo in plan.manifest.repositories]
        print_json({"repositories": repositories, "bytes": plan.size_bytes, "left_out": plan.left_out})
        return
    for repo in plan.manifest.repositories:
        lacks = "" if repo.answers else "; its listing is not kept, so whole downloads will not work offline"
        err.print(f"{_line(repo)}{lacks}", highlight=False)
    if plan.left_out:
        err.print(
            f"{len(plan.left_out)} known files are not kept whole, and left out; cache warm fetches them",
            highlight=False,
        )
    err.print(f"{human(plan.size_bytes)} exported", highlight=False)


@contextmanager
def _written(file: Path) -> "Iterator[BinaryIO]":
    """What is written here is the file, once all of it is on the disk; else it is as it was. Raises OSError.

    What is no file, a device or a named pipe, is written to as it is: to put a file in its place takes it from
    everybody.
    """
    if file == _STDIO:
        yield sys.stdout.buffer
        sys.stdout.flush()
    elif file.exists() and not file.is_file():
        with file.open("wb") as written:
            yield written
    else:
        _sweep_drafts(file)
        # Two that write the same bundle at once each have a draft of their own.
        draft = file.with_name(f".{file.name}.{os.getpid()}.part")
        try:
            with draft.open("wb") as written:
                fcntl.flock(written, fcntl.LOCK_EX)
                yield written
                written.flush()
                os.fsync(written.fileno())
                draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)


def _sweep_drafts(file: Path) -> None:
    """Deletes drafts of this file that nobody writes any more: those of exports that were killed."""
    for draft in file.parent.glob(f".{glob.escape(file.name)}.*.part"):
        with suppress(OSError), draft.open("rb") as left:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


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
    as_json: Json = False,
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
        _import_cache(place / "hub" if (place / "hub").is_dir() else place, whose, as_json)
    elif names:
        raise typer.BadParameter("--names is for a client's cache: a bundle brings its names")
    else:
        _import_bundle(place, keep_pinned, as_json)


def _import_cache(folder: Path, named_repos: "list[RepoRef] | None", as_json: bool) -> None:
    """named_repos: whose names are taken, all where it is empty; None: nobody's."""
    from hfproxy.features.stocking.client_cache import Unusable, cached_files, take_in_cached

    found = list(cached_files(folder))
    if not found:
        fail(f"{folder} holds no files of a Hub client: it has no folders such as models--owner--name")

    async def work(blobs: "BlobStore", database: "Database") -> "tuple[int, list[str], Named | None]":
        new, problems = 0, list[str]()
        with progress_bar("importing") as progress:
            bar = progress.add_task("importing", total=sum(cached.size_bytes for cached in found))
            for cached in found:
                try:
                    new += await take_in_cached(cached, blobs, progressed=lambda more: progress.advance(bar, more))
                except Unusable as error:
                    problems.append(str(error))
        names = await _take_names(folder, named_repos, blobs, database) if named_repos is not None else None
        return new, problems, names

    new, problems, names = with_store(work)
    had = len(found) - new - len(problems)
    # Each repository whose names were taken, and whether a listing came with it.
    listed = [(repo, repo not in names.incomplete) for repo in names.manifest.repositories] if names else []
    if as_json:
        repositories = [_fields(repo, listed=whole) for repo, whole in listed]
        print_json({"new": new, "had": had, "repositories": repositories, "problems": problems})
    else:
        for repo, whole in listed:
            out.print(_line(repo) + ("" if whole else "; no listing is kept, so that files may lack"), highlight=False)
        out.print(f"{new} files taken in, {had} were there", highlight=False)
    if problems:
        fail(f"{len(problems)} files were not taken:", *problems)


async def _take_names(folder: Path, only: "list[RepoRef]", blobs: "BlobStore", database: "Database") -> "Named":
    from hfproxy.features.stocking.client_names import names_in
    from hfproxy.features.stocking.importing import name_all

    kept = {info.key: info.size_bytes async for info in blobs.list() if info.complete}
    found = names_in(folder, kept, only=only)
    await name_all(database, found.manifest, found.bodies)
    return found


def _import_bundle(place: Path, keep_pinned: bool, as_json: bool) -> None:
    from hfproxy.features.stocking.importing import BadBundle, BundleReader, name_all
    from hfproxy.storage import pins
    from hfproxy.upstream.refs import RepoRef

    async def work(blobs: "BlobStore", database: "Database") -> "list[BundledRepo]":
        with ExitStack() as stack:
            file = sys.stdin.buffer if place == _STDIO else stack.enter_context(place.open("rb"))
            reader = BundleReader(file)
            with progress_bar("importing") as progress:
                bar = progress.add_task("importing", total=sum(reader.blobs.values()))
                bodies = await reader.copy_to(blobs, progressed=lambda more: progress.advance(bar, more))
        await name_all(database, reader.manifest, bodies)
        for repo in reader.manifest.repositories if keep_pinned else ():
            await pins.pin(database, str(RepoRef.parse_printed(repo.repo).folded), repo.commit_hash)
        return reader.manifest.repositories

    try:
        repositories = with_store(work)
    except (BadBundle, OSError) as error:
        fail(f"{place}: {error}", "No name of it is known now; files that were right stay, and are not copied again.")
    if as_json:
        print_json({"repositories": [_fields(repo, listed=bool(repo.answers)) for repo in repositories]})
    else:
        for repo in repositories:
            out.print(_line(repo), highlight=False)


def _line(repo: "BundledRepo") -> str:
    return f"{repo.repo}@{repo.commit_hash[:8]}: {len(repo.files)} files, {repo.access}"


def _fields(repo: "BundledRepo", *, listed: bool) -> dict[str, object]:
    """For programs. listed: whether the commit's listing came along; without it nobody downloads it whole offline."""
    files = len(repo.files)
    return {"repo": repo.repo, "commit_hash": repo.commit_hash, "files": files, "access": repo.access, "listed": listed}


def _cache_of_this_user() -> Path:
    """As `huggingface_hub` finds it (`constants.py`)."""
    if (cache := os.environ.get("HF_HUB_CACHE")) is not None:
        return Path(cache)
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(home).expanduser() / "hub"
