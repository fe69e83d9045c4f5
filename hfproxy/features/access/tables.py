"""Gateway keys as they are kept: a hash in place of the secret."""

from sqlalchemy import Column, Index, String, Table, text

from hfproxy.storage.database import METADATA, UtcTime

KEYS = Table(
    "gateway_keys",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    # Patterns as a JSON list; null: every repository.
    Column("repos", String, nullable=True),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=True),
    Column("last_used_at", UtcTime, nullable=True),
    Column("revoked_at", UtcTime, nullable=True),
)
# A name may be used again once its key is revoked: that is how a key is changed without changing who it is. It is so on
# PostgreSQL too (migration 0001); saying it here would load that dialect at every start.
Index(
    "uq_gateway_keys_name",
    KEYS.c.name,
    unique=True,
    sqlite_where=text("revoked_at IS NULL"),
)
