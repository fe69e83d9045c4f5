"""The full name of what a write made, where only the Hub knew its owner."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("audit_outcomes", sa.Column("made_repo_id", sa.String(200), nullable=True))
    op.add_column("audit_outcomes", sa.Column("made_repo_folded", sa.String(200), nullable=True))
    op.create_index("ix_audit_outcomes_made_repo_folded", "audit_outcomes", ["made_repo_folded"])
