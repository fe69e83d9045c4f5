"""Gateway keys and the audit trail."""

import sqlalchemy as sa
from alembic import op

from hfproxy.storage.database import UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "gateway_keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("repos", sa.String(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=True),
        sa.Column("last_used_at", UtcTime(), nullable=True),
        sa.Column("revoked_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_keys"),
        sa.UniqueConstraint("secret_hash", name="uq_gateway_keys_secret_hash"),
    )
    op.create_index(
        "uq_gateway_keys_name",
        "gateway_keys",
        ["name"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "audit_writes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=True),
        sa.Column("caller_kind", sa.String(16), nullable=False),
        sa.Column("caller", sa.String(200), nullable=False),
        sa.Column("caller_id", sa.String(64), nullable=True),
        sa.Column("address", sa.String(64), nullable=True),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("repo_type", sa.String(16), nullable=True),
        sa.Column("repo_id", sa.String(200), nullable=True),
        sa.Column("repo_folded", sa.String(200), nullable=True),
        sa.Column("new_repo_id", sa.String(200), nullable=True),
        sa.Column("new_repo_folded", sa.String(200), nullable=True),
        sa.Column("asked", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_writes"),
        sqlite_autoincrement=True,
    )
    for column in ("at", "caller", "repo_folded", "new_repo_folded"):
        op.create_index(f"ix_audit_writes_{column}", "audit_writes", [column])
    op.create_table(
        "audit_outcomes",
        sa.Column(
            "write_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("code", sa.String(64), nullable=True),
        sa.ForeignKeyConstraint(["write_id"], ["audit_writes.id"], name="fk_audit_outcomes_write_id"),
        sa.PrimaryKeyConstraint("write_id", name="pk_audit_outcomes"),
    )
    for table in ("audit_writes", "audit_outcomes"):
        _only_add_to(table)


def _only_add_to(table: str) -> None:
    """Triggers that refuse every UPDATE and DELETE: whoever would rewrite the past must first alter the schema."""
    if op.get_context().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is only ever added to'); END"
            )
        # INSERT OR REPLACE deletes without asking the triggers above.
        key = "id" if table == "audit_writes" else "write_id"
        there = f"EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608  both names are ours
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is only ever added to'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {table}_no_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is only ever added to'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_no_change()"
    )
