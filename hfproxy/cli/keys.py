"""`hfproxy keys`: gateway keys made, listed and revoked. A running gateway notices within a second."""

import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hfproxy.cli.examples import examples
from hfproxy.cli.terminal import Json, err, fail, out, print_json, read_settings
from hfproxy.starting import CannotStart

if TYPE_CHECKING:
    from hfproxy.features.access.models import GatewayKey
    from hfproxy.features.access.service import KeyService

T = TypeVar("T")

app = typer.Typer(
    help="Make, list and revoke gateway keys.\n\n"
    "A key is sent as a bearer token (so HF_TOKEN can be one), as git's password, or as X-API-Key.",
    no_args_is_help=True,
)


class KeyRole(StrEnum):
    """What a key may do."""

    READER = "reader"
    WRITER = "writer"
    ADMIN = "admin"


def _lifetime(text: str) -> timedelta:
    from pydantic import TypeAdapter, ValidationError

    from hfproxy.settings import Duration

    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("must be a time such as 12h, 30d or 365d") from None


@app.command(
    epilog=examples(
        "hfproxy keys create ci --role writer --repo 'acme/*' --expires 90d",
        "KEY=$(hfproxy keys create laptop)",
    )
)
def create(
    name: Annotated[str, typer.Argument(help="Who or what will use it; the log and the audit trail show it.")],
    role: Annotated[
        KeyRole, typer.Option(help="reader reads, writer also changes, admin also administers.")
    ] = KeyRole.READER,
    repos: Annotated[
        list[str] | None,
        typer.Option(
            "--repo",
            help="Limit it to these: `acme/*`, `acme/demo`, `datasets/acme/*`, `buckets/acme/*`; repeat it for more.",
        ),
    ] = None,
    expires: Annotated[
        timedelta | None,
        typer.Option(parser=_lifetime, metavar="TIME", help="End it after this time, such as 12h or 90d."),
    ] = None,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    from hfproxy.downstream.access import Role

    key, secret = _with_keys(
        lambda keys: keys.create(name, Role.named(role.value), repos=repos or (), lifetime=expires)
    )
    err.print(f"The key {key.name} ({key.id}), role {key.role}. It is shown this once:", markup=False, highlight=False)
    sys.stdout.write(f"{secret}\n")


@app.command("list", epilog=examples("hfproxy keys list --json"))
def list_keys(
    as_json: Json = False,
) -> None:
    """Show every key that was ever made, without its secret."""
    from rich.table import Table

    from hfproxy.features.access.service import utc_now

    keys, now = _with_keys(lambda keys: keys.list()), utc_now()
    if as_json:
        print_json([_fields(key, key.state(now)) for key in keys])
        return
    table = Table("id", "name", "role", "repositories", "state", "made", "expires", "last used", box=None)
    for key in keys:
        fields = _fields(key, key.state(now))
        moments = [str(fields[moment] or "")[:16].replace("T", " ") for moment in ("created", "expires", "last_used")]
        table.add_row(key.id, key.name, str(key.role), ", ".join(key.repos or ("all",)), key.state(now), *moments)
    out.print(table, soft_wrap=True)


@app.command(epilog=examples("hfproxy keys revoke ci"))
def revoke(key: Annotated[str, typer.Argument(help="Its name or its id.")]) -> None:
    """End a key for good. A running gateway refuses it within a second."""
    revoked = _with_keys(lambda keys: keys.revoke(key))
    out.print(f"The key {revoked.name} ({revoked.id}) opens nothing any more.", markup=False, highlight=False)


def _fields(key: "GatewayKey", state: str) -> dict[str, object]:
    times = {
        "created": key.created_at,
        "expires": key.expires_at,
        "last_used": key.last_used_at,
        "revoked": key.revoked_at,
    }
    return {
        "id": key.id,
        "name": key.name,
        "role": str(key.role),
        "repos": list(key.repos) if key.repos is not None else None,
        "state": state,
        **{name: at.isoformat(timespec="seconds") if at is not None else None for name, at in times.items()},
    }


def _with_keys(work: Callable[["KeyService"], Awaitable[T]]) -> T:
    """Does something with the keys of the configured database, or ends the command with the reason."""
    import asyncio

    from hfproxy.errors import StorageUnavailable
    from hfproxy.features.access.service import KeyRefused, KeyService
    from hfproxy.features.access.store import KeyStore
    from hfproxy.storage.opening import open_database

    storage = read_settings().settings.storage

    async def run() -> T:
        url = storage.database.get_secret_value() if storage.database is not None else None
        async with open_database(storage.root, url) as database:
            return await work(KeyService(store=KeyStore(database)))

    try:
        return asyncio.run(run())
    except KeyRefused as error:
        fail(str(error))
    except StorageUnavailable as error:
        fail(error.detail)
    except CannotStart as error:
        fail(str(error), code=error.exit_code)
