"""The Hub's yeses in the database, for the time after a start when the Hub may be away."""

import time

import structlog
from sqlalchemy import delete, select

from hfproxy.errors import StorageUnavailable
from hfproxy.features.files.rights import Rights
from hfproxy.storage.database import Database
from hfproxy.storage.pointer_tables import RIGHTS
from hfproxy.storage.upserts import upsert

log = structlog.get_logger(__name__)


async def load_rights(database: Database, rights: Rights) -> None:
    """Takes in what was said before this start, youngest last; what is too old is deleted."""
    async with database.writing(durable=False) as connection:
        await connection.execute(delete(RIGHTS).where(RIGHTS.c.said_at_s < time.time() - rights.stale_s))
        rows = (await connection.execute(select(RIGHTS).order_by(RIGHTS.c.said_at_s))).all()
    for row in rows:
        rights.remember((row.repo, row.commit_hash, row.audience, row.path), row.said_at_s)
    rights.unwritten.clear()


async def write_rights(database: Database, rights: Rights) -> None:
    """Brings new yeses to the database, and takes out those that were taken back."""
    if not rights.unwritten and not rights.taken_back:
        return
    said, rights.unwritten = rights.unwritten, {}
    taken_back, rights.taken_back = rights.taken_back, set()
    try:
        async with database.writing(durable=bool(taken_back)) as connection:
            for repo, commit_hash, audience, path in taken_back:
                await connection.execute(
                    delete(RIGHTS).where(
                        RIGHTS.c.repo == repo,
                        RIGHTS.c.commit_hash == commit_hash,
                        RIGHTS.c.audience == audience,
                        RIGHTS.c.path == path,
                    )
                )
            rows = [
                {"repo": yes[0], "commit_hash": yes[1], "audience": yes[2], "path": yes[3], "said_at_s": said_at_s}
                for yes, said_at_s in said.items()
            ]
            if rows:
                await connection.execute(upsert(connection, RIGHTS), rows)
    except StorageUnavailable as error:
        rights.taken_back |= taken_back
        log.warning("pointers.unwritten", reason=error.detail, count=len(said))
