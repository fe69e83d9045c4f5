"""The Hub's yeses in the database, for the time after a start when the Hub may be away."""

import time

import structlog
from sqlalchemy import Connection, bindparam, delete, select

from hfproxy.errors import StorageUnavailable
from hfproxy.features.files.rights import MOST_REMEMBERED, Rights
from hfproxy.storage.database import Database
from hfproxy.storage.notices import Notices
from hfproxy.storage.pointer_tables import RIGHTS
from hfproxy.storage.upserts import upsert

REFUSED = "refused"

log = structlog.get_logger(__name__)

_TAKE_BACK = delete(RIGHTS).where(
    RIGHTS.c.repo == bindparam("of_repo"),
    RIGHTS.c.commit_hash == bindparam("of_commit"),
    RIGHTS.c.audience == bindparam("of_audience"),
    RIGHTS.c.path == bindparam("of_path"),
)


async def load_rights(database: Database, rights: Rights) -> None:
    """Takes in what was said before this start and may still be believed, youngest last."""
    not_too_old = RIGHTS.c.said_at_s >= time.time() - rights.stale_s
    youngest = select(RIGHTS).where(not_too_old).order_by(RIGHTS.c.said_at_s.desc()).limit(MOST_REMEMBERED)
    for row in reversed(await database.read(lambda connection: connection.execute(youngest).all())):
        rights.remember((row.repo, row.commit_hash, row.audience, row.path), row.said_at_s)
    rights.unwritten.clear()


async def tell_refusals(notices: Notices, rights: Rights) -> None:
    """Tells the other processes whom the Hub refused what: they may remember a yes."""
    refused, rights.refused = rights.refused, set()
    if refused:
        try:
            await notices.post(REFUSED, sorted(refused))
        except StorageUnavailable as error:
            rights.refused |= refused
            log.warning("pointers.unwritten", reason=error.detail, count=len(refused))


def hear_refusals(notices: Notices, rights: Rights) -> None:
    """Takes back what was remembered for whom the Hub refused elsewhere."""

    async def heard(about: list[list[str]]) -> None:
        for repo, who in about:
            rights.refuse_audience(repo, who)

    notices.hear(REFUSED, heard)


async def recall_rights(database: Database, rights: Rights, repo: str, commit_hash: str) -> None:
    """Takes in what another process noted of a commit since this one started."""
    noted = select(RIGHTS).where(RIGHTS.c.repo == repo, RIGHTS.c.commit_hash == commit_hash)
    try:
        rows = await database.read(lambda connection: connection.execute(noted).all())
    except StorageUnavailable as error:
        log.warning("pointers.unread", reason=error.detail)
        return
    for row in rows:
        yes = (row.repo, row.commit_hash, row.audience, row.path)
        if yes not in rights.taken_back:
            rights.remember(yes, row.said_at_s)
            rights.unwritten.pop(yes, None)


async def write_rights(database: Database, rights: Rights) -> None:
    """Brings new yeses to the database, and takes out those that were taken back."""
    if not rights.unwritten and not rights.taken_back:
        return
    said, rights.unwritten = rights.unwritten, {}
    taken_back, rights.taken_back = rights.taken_back, set()

    def write(connection: Connection) -> None:
        if taken_back:
            columns = ("of_repo", "of_commit", "of_audience", "of_path")
            connection.execute(_TAKE_BACK, [dict(zip(columns, no, strict=True)) for no in taken_back])
        if said:
            rows = [
                {"repo": yes[0], "commit_hash": yes[1], "audience": yes[2], "path": yes[3], "said_at_s": said_at_s}
                for yes, said_at_s in said.items()
            ]
            connection.execute(upsert(connection, RIGHTS), rows)

    try:
        await database.write(write, durable=bool(taken_back))
    except StorageUnavailable as error:
        rights.taken_back |= taken_back
        log.warning("pointers.unwritten", reason=error.detail, count=len(said))
