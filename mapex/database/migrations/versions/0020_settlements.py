"""What was sold, returned, settled and paid out; orders from before were sold without a fee."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

KEYS = {
    "payout": ["settlement_id"],
    "refund": ["id", "order_id version_id"],
    "sale": ["id", "order_id org_id"],
    "settled_refund": ["refund_id"],
    "settled_sale": ["sale_id"],
    "settlement": ["id", "org_id month"],
}
"""The columns of each key of the new tables, which are append-only."""


def upgrade() -> None:
    op.create_table(
        "sale",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("fee_rate", sa.Integer(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"], name=op.f("fk_sale_order_id")),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_sale_org_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sale")),
        sa.UniqueConstraint("order_id", "org_id", name=op.f("uq_sale_order_id_org_id")),
    )
    op.create_index(op.f("ix_sale_org_id"), "sale", ["org_id"], unique=False)
    op.create_table(
        "refund",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("version_id", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("transaction_id", sa.String(length=40), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("vat", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"], name=op.f("fk_refund_order_id")),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_refund_org_id")),
        sa.ForeignKeyConstraint(["transaction_id"], ["ledger_transaction.id"], name=op.f("fk_refund_transaction_id")),
        sa.ForeignKeyConstraint(["version_id"], ["dataset_version.id"], name=op.f("fk_refund_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("order_id", "version_id", name=op.f("uq_refund_order_id_version_id")),
    )
    op.create_index(op.f("ix_refund_org_id"), "refund", ["org_id"], unique=False)
    op.create_index(op.f("ix_refund_version_id"), "refund", ["version_id"], unique=False)
    op.create_table(
        "settlement",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("sales", sa.BigInteger(), nullable=False),
        sa.Column("refunds", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("vat", sa.BigInteger(), nullable=False),
        sa.Column("transaction_id", sa.String(length=40), nullable=True),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_settlement_org_id")),
        sa.ForeignKeyConstraint(["transaction_id"], ["ledger_transaction.id"], name=op.f("fk_settlement_transaction_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement")),
        sa.UniqueConstraint("org_id", "month", name=op.f("uq_settlement_org_id_month")),
    )
    op.create_index(op.f("ix_settlement_month"), "settlement", ["month"], unique=False)
    op.create_table(
        "payout",
        sa.Column("settlement_id", sa.String(length=40), nullable=False),
        sa.Column("transaction_id", sa.String(length=40), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["settlement_id"], ["settlement.id"], name=op.f("fk_payout_settlement_id")),
        sa.ForeignKeyConstraint(["transaction_id"], ["ledger_transaction.id"], name=op.f("fk_payout_transaction_id")),
        sa.PrimaryKeyConstraint("settlement_id", name=op.f("pk_payout")),
    )
    op.create_table(
        "settled_refund",
        sa.Column("refund_id", sa.String(length=40), nullable=False),
        sa.Column("settlement_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_settled_refund_refund_id")),
        sa.ForeignKeyConstraint(["settlement_id"], ["settlement.id"], name=op.f("fk_settled_refund_settlement_id")),
        sa.PrimaryKeyConstraint("refund_id", name=op.f("pk_settled_refund")),
    )
    op.create_index(op.f("ix_settled_refund_settlement_id"), "settled_refund", ["settlement_id"], unique=False)
    op.create_table(
        "settled_sale",
        sa.Column("sale_id", sa.String(length=40), nullable=False),
        sa.Column("settlement_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"], name=op.f("fk_settled_sale_sale_id")),
        sa.ForeignKeyConstraint(["settlement_id"], ["settlement.id"], name=op.f("fk_settled_sale_settlement_id")),
        sa.PrimaryKeyConstraint("sale_id", name=op.f("pk_settled_sale")),
    )
    op.create_index(op.f("ix_settled_sale_settlement_id"), "settled_sale", ["settlement_id"], unique=False)
    _fill_sales(op.get_bind())
    for table, keys in KEYS.items():
        if op.get_bind().dialect.name == "sqlite":
            _sqlite_guards(table, keys)
        else:
            _postgresql_guards(table)


def _fill_sales(conn: sa.Connection) -> None:
    """Each order's lines, seller by seller."""
    sold = conn.execute(
        sa.text(
            "SELECT n.order_id, d.org_id, CAST(SUM(n.amount) AS bigint) AS amount FROM order_line n "
            "JOIN dataset d ON d.id = n.dataset_id GROUP BY n.order_id, d.org_id"
        )
    )
    rows = [{"id": f"sal_{secrets.token_hex(10)}", **row} for row in sold.mappings()]
    if rows:
        statement = "INSERT INTO sale (id, order_id, org_id, amount, fee_rate, fee) VALUES (:id, :order_id, :org_id, :amount, 0, 0)"
        conn.execute(sa.text(statement), rows)


def _sqlite_guards(table: str, keys: list[str]) -> None:
    refuse = f"SELECT RAISE(ABORT, '{table} is append-only')"
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN {refuse}; END")
    same = [" AND ".join(f"{name} = NEW.{name}" for name in key.split()) for key in keys]
    there = " OR ".join(f"({one})" for one in ["rowid = NEW.rowid", *same])
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {there}) BEGIN {refuse}; END"
    )


def _postgresql_guards(table: str) -> None:
    for name, when in (("append_only", "UPDATE OR DELETE ON {} FOR EACH ROW"), ("no_truncate", "TRUNCATE ON {} FOR EACH STATEMENT")):
        op.execute(f"CREATE TRIGGER {table}_{name} BEFORE {when.format(table)} EXECUTE FUNCTION mapex_append_only()")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}")
