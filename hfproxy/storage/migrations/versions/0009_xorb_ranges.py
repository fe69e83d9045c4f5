"""What is kept of xorbs, and the Xet hashes of files."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "kept_xorb_ranges",
        sa.Column("xorb", sa.String(64), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("stop", sa.BigInteger(), nullable=False),
        sa.Column("repo", sa.String(), nullable=False),
        sa.Column("first_chunk", sa.Integer(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.Column("pieces", sa.String(), nullable=False),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.Column("kept_at_s", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("xorb", "start", "stop", "repo", name="pk_kept_xorb_ranges"),
    )
    op.add_column("kept_files", sa.Column("xet_hash", sa.String(64), nullable=True))
