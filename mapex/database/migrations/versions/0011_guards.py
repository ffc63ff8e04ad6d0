"""Append-only tables that nothing gets around: no REPLACE, no replica mode, orders and recipients too; signed checkpoints of the log."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NEW = ("purchase_order", "permit_recipient", "log_checkpoint")

KEYS = {
    "access_grant": ["id"],
    "audit_event": ["seq"],
    "ledger_entry": ["id"],
    "ledger_transaction": ["id", "key"],
    "log_checkpoint": ["size"],
    "order_line": ["order_id, ordinal"],
    "permit_recipient": ["permit_id, org_id"],
    "purchase_order": ["id", "org_id, key", "quote_id"],
}
"""What is unique in each append-only table."""


def upgrade() -> None:
    op.create_table(
        "log_checkpoint",
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_log_checkpoint")),
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def _sqlite() -> None:
    for table in NEW:
        for verb in ("UPDATE", "DELETE"):
            refuse = f"SELECT RAISE(ABORT, '{table} is append-only')"
            op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN {refuse}; END")
    for table, keys in KEYS.items():
        same = [" AND ".join(f"{name} = NEW.{name}" for name in key.split(", ")) for key in keys]
        there = " OR ".join(f"({one})" for one in ["rowid = NEW.rowid", *same])
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {there}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _postgresql() -> None:
    for table in NEW:
        for name, when in (("append_only", "UPDATE OR DELETE ON {} FOR EACH ROW"), ("no_truncate", "TRUNCATE ON {} FOR EACH STATEMENT")):
            op.execute(f"CREATE TRIGGER {table}_{name} BEFORE {when.format(table)} EXECUTE FUNCTION mapex_append_only()")
    for table in KEYS:
        for name in ("append_only", "no_truncate"):
            op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}")
    # Whoever may only add to the log cannot lock it; this waits for those who write, and does nothing else.
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute(
        f"CREATE FUNCTION mapex_settled_head() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$ "
        "BEGIN LOCK TABLE audit_event IN SHARE ROW EXCLUSIVE MODE; RETURN (SELECT COALESCE(MAX(seq), 0) FROM audit_event); END $$"
    )
    op.execute("REVOKE ALL ON FUNCTION mapex_settled_head() FROM PUBLIC")
