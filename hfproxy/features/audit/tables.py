"""The audit trail as it is kept: what was about to be done, and what came of it. Both are only ever added to."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table

from hfproxy.storage.database import METADATA, UtcTime

WRITES = Table(
    "audit_writes",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False, index=True),
    Column("request_id", String(128), nullable=True),
    # anonymous, key, hub_token
    Column("caller_kind", String(16), nullable=False),
    Column("caller", String(200), nullable=False, index=True),
    # A key's id, or the fingerprint of a Hub token; never a secret.
    Column("caller_id", String(64), nullable=True),
    Column("address", String(64), nullable=True),
    Column("action", String(64), nullable=False),
    Column("repo_type", String(16), nullable=True),
    # As the caller wrote it, and in lower case to find it by.
    Column("repo_id", String(200), nullable=True),
    Column("repo_folded", String(200), nullable=True, index=True),
    Column("new_repo_id", String(200), nullable=True),
    Column("new_repo_folded", String(200), nullable=True, index=True),
    # What was asked for, as a JSON object of plain settings.
    Column("asked", String, nullable=True),
    sqlite_autoincrement=True,
)

OUTCOMES = Table(
    "audit_outcomes",
    METADATA,
    Column("write_id", ForeignKey("audit_writes.id"), primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    # done, refused, failed, unknown
    Column("outcome", String(16), nullable=False),
    Column("status", Integer, nullable=True),
    Column("code", String(64), nullable=True),
    # What was made, where the caller did not name its owner.
    Column("made_repo_id", String(200), nullable=True),
    Column("made_repo_folded", String(200), nullable=True, index=True),
)
