"""What the Hub's names point to, and who may read it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "kept_revisions",
        sa.Column("repo", sa.String(120), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("commit_hash", sa.String(40), nullable=False),
        sa.Column("checked_at_s", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("repo", "revision", name="pk_kept_revisions"),
    )
    op.create_table(
        "kept_files",
        sa.Column("repo", sa.String(120), nullable=False),
        sa.Column("commit_hash", sa.String(40), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("etag", sa.String(128), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("is_lfs", sa.Boolean(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=True),
        sa.Column("content_disposition", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("repo", "commit_hash", "path", name="pk_kept_files"),
    )
    op.create_index("ix_kept_files_etag", "kept_files", ["etag"])
    op.create_table(
        "kept_rights",
        sa.Column("repo", sa.String(120), nullable=False),
        sa.Column("commit_hash", sa.String(40), nullable=False),
        sa.Column("audience", sa.String(80), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("said_at_s", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("repo", "commit_hash", "audience", "path", name="pk_kept_rights"),
    )
