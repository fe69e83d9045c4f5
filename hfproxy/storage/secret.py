"""The gateway's own secret: made once, kept beside everything else, never told."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Column, Connection, LargeBinary, String, Table, select

from hfproxy.storage.database import METADATA, Database

SECRETS = Table(
    "shared_secrets",
    METADATA,
    Column("name", String(20), primary_key=True),
    Column("value", LargeBinary(), nullable=False),
)

_FILE = "secret"
_SIZE_BYTES = 32


def derived_key(root: Path, purpose: str) -> bytes:
    """32 bytes for one purpose, the same for every process that shares `root`; the secret is made if there is none."""
    return HKDF(SHA256(), _SIZE_BYTES, salt=None, info=purpose.encode()).derive(_secret(root))


async def shared_key(database: Database, root: Path, purpose: str) -> bytes:
    """The same, for every process on every machine that shares a PostgreSQL; of those that share a folder, the same."""
    if not database.is_server:
        return derived_key(root, purpose)
    # Only here: the dialect takes a while to import.
    from sqlalchemy.dialects import postgresql

    def work(connection: Connection) -> bytes:
        made = {"name": _FILE, "value": secrets.token_bytes(_SIZE_BYTES)}
        connection.execute(postgresql.insert(SECRETS).values(made).on_conflict_do_nothing())
        return bytes(connection.execute(select(SECRETS.c.value).where(SECRETS.c.name == _FILE)).scalar_one())

    return HKDF(SHA256(), _SIZE_BYTES, salt=None, info=purpose.encode()).derive(await database.write(work))


def _secret(root: Path) -> bytes:
    path = root / _FILE
    root.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{_FILE}.{secrets.token_hex(8)}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_SIZE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # of several processes that start at once, one wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    secret = path.read_bytes()
    if len(secret) != _SIZE_BYTES:
        raise ValueError(f"{path} is damaged: delete it, and running LFS transfers begin anew")
    return secret
