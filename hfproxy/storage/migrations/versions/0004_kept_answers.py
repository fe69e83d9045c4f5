"""What the Hub said of repositories."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "kept_answers",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("repo", sa.String(120), nullable=False),
        sa.Column("headers", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("said_at_s", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_kept_answers"),
    )
    op.create_index("ix_kept_answers_repo", "kept_answers", ["repo"])
