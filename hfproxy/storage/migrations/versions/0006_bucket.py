"""What lies in a bucket."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "bucket_blobs",
        sa.Column("blob", sa.String(80), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("block_bytes", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("objects", sa.String(), nullable=False),
        sa.Column("taken_bytes", sa.BigInteger(), nullable=False),
        sa.Column("used_at_s", sa.Float(53), nullable=False),
        sa.Column("writer", sa.String(32)),
        sa.Column("writer_until_s", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("blob", name="pk_bucket_blobs"),
    )
    op.create_index("ix_bucket_blobs_used_at_s", "bucket_blobs", ["used_at_s"])
    op.create_index("ix_bucket_blobs_writer", "bucket_blobs", ["writer"])
    op.create_table(
        "bucket_blocks",
        sa.Column("blob", sa.String(80), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("series", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("blob", "block", name="pk_bucket_blocks"),
    )
    op.create_table(
        "bucket_dropped",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("blob", sa.String(80), nullable=False),
        sa.Column("objects", sa.String(), nullable=False),
        sa.Column("due_at_s", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bucket_dropped"),
    )
    op.create_index("ix_bucket_dropped_due_at_s", "bucket_dropped", ["due_at_s"])
