"""Repositories whose files are never evicted."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "kept_pins",
        sa.Column("repo", sa.String(120), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("commit_hash", sa.String(40), nullable=True),
        sa.Column("pinned_at_s", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("repo", "revision", name="pk_kept_pins"),
    )
