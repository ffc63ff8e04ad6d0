"""Offers that credit what was paid for narrower uses, what was credited on each line of an order, and of which tiles."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLE = "credited_tile"


def upgrade() -> None:
    op.add_column("offer", sa.Column("credits_earlier", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("order_line", sa.Column("earlier", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        TABLE,
        sa.Column("entitlement_id", sa.String(length=40), nullable=False),
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["entitlement_id"], ["entitlement.id"], name=op.f("fk_credited_tile_entitlement_id")),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"], name=op.f("fk_credited_tile_order_id")),
        sa.PrimaryKeyConstraint("entitlement_id", name=op.f("pk_credited_tile")),
    )
    op.create_index(op.f("ix_credited_tile_order_id"), TABLE, ["order_id"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def _sqlite() -> None:
    refuse = f"SELECT RAISE(ABORT, '{TABLE} is append-only')"
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {TABLE}_no_{verb.lower()} BEFORE {verb} ON {TABLE} BEGIN {refuse}; END")
    there = "(rowid = NEW.rowid) OR (entitlement_id = NEW.entitlement_id)"
    op.execute(
        f"CREATE TRIGGER {TABLE}_no_replace BEFORE INSERT ON {TABLE} WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE {there}) BEGIN {refuse}; END"
    )


def _postgresql() -> None:
    for name, when in (("append_only", "UPDATE OR DELETE ON {} FOR EACH ROW"), ("no_truncate", "TRUNCATE ON {} FOR EACH STATEMENT")):
        op.execute(f"CREATE TRIGGER {TABLE}_{name} BEFORE {when.format(TABLE)} EXECUTE FUNCTION mapex_append_only()")
        op.execute(f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {TABLE}_{name}")
