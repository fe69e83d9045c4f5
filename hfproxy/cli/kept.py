"""What the commands on kept files share: how repositories are named, the store they work on, sizes in words."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hfproxy.cli.terminal import fail, read_settings
from hfproxy.starting import CannotStart

if TYPE_CHECKING:
    from hfproxy.settings import Settings
    from hfproxy.storage.blobs import BlobStore
    from hfproxy.storage.database import Database
    from hfproxy.upstream.refs import RepoRef

T = TypeVar("T")
Named = Annotated[
    str,
    typer.Argument(
        metavar="REPO[@REV]", help="`owner/name`, `datasets/owner/name@branch`, `spaces/owner/name@commit`."
    ),
]


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


def quiet_settings() -> "Settings":
    """The settings for a gateway that works inside a command, whose log is its messages."""
    from hfproxy.logs import set_up_logging

    settings = read_settings().settings
    set_up_logging(settings.logging.model_copy(update={"level": "error"}), secrets=settings.secrets())
    return settings


def human(size_bytes: int) -> str:
    """A size as people read it."""
    from pydantic import ByteSize

    return ByteSize(size_bytes).human_readable(separator=" ")
