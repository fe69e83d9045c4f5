"""When a file was last asked after, so that what nobody wants any more can be forgotten."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    # A gateway of the version before, beside this one, still writes rows without it: these are forgotten first.
    op.add_column("kept_files", sa.Column("noted_at_s", sa.Float(53), nullable=False, server_default="0"))
    op.execute(sa.text("UPDATE kept_files SET noted_at_s = :now").bindparams(now=time.time()))
    op.create_index("ix_kept_files_noted_at_s", "kept_files", ["noted_at_s"])
