"""`hfproxy cache warm`: a repository fetched before anybody asks for it."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from hfproxy.cli.kept import Named, human, named, quiet_settings, with_store
from hfproxy.cli.terminal import Json, fail, out, print_json, progress_bar
from hfproxy.starting import CannotStart

if TYPE_CHECKING:
    from hfproxy.settings import Settings
    from hfproxy.upstream.refs import RepoRef

TypeOption = Annotated[
    str | None, typer.Option("--type", help="`model`, `dataset`, `space` or `kernel`, instead of a prefix.")
]


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
    settings = quiet_settings()
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
