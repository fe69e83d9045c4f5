"""The tables of what the Hub's names point to."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, LargeBinary, PrimaryKeyConstraint, String, Table

from hfproxy.storage.database import METADATA

REVISIONS = Table(
    "kept_revisions",
    METADATA,
    Column("repo", String(120), nullable=False),
    Column("revision", String(), nullable=False),
    Column("commit_hash", String(40), nullable=False),
    Column("checked_at_s", Float(53), nullable=False),
    PrimaryKeyConstraint("repo", "revision"),
)

FILES = Table(
    "kept_files",
    METADATA,
    Column("repo", String(120), nullable=False),
    Column("commit_hash", String(40), nullable=False),
    Column("path", String(), nullable=False),
    Column("etag", String(128)),
    Column("size_bytes", BigInteger()),
    Column("is_lfs", Boolean(), nullable=False),
    Column("content_type", String()),
    Column("content_disposition", String()),
    Column("noted_at_s", Float(53), nullable=False, server_default="0"),
    Column("xet_hash", String(64)),
    PrimaryKeyConstraint("repo", "commit_hash", "path"),
)
Index("ix_kept_files_noted_at_s", FILES.c.noted_at_s)
Index("ix_kept_files_etag", FILES.c.etag)

RIGHTS = Table(
    "kept_rights",
    METADATA,
    Column("repo", String(120), nullable=False),
    Column("commit_hash", String(40), nullable=False),
    Column("audience", String(80), nullable=False),
    Column("path", String(), nullable=False),
    Column("said_at_s", Float(53), nullable=False),
    PrimaryKeyConstraint("repo", "commit_hash", "audience", "path"),
)

ANSWERS = Table(
    "kept_answers",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("repo", String(120), nullable=False, index=True),
    Column("headers", String(), nullable=False),
    Column("body", LargeBinary(), nullable=False),
    Column("said_at_s", Float(53), nullable=False),
)

PINS = Table(
    "kept_pins",
    METADATA,
    Column("repo", String(120), nullable=False),
    Column("revision", String(), nullable=False),
    Column("commit_hash", String(40)),
    Column("pinned_at_s", Float(53), nullable=False),
    PrimaryKeyConstraint("repo", "revision"),
)
