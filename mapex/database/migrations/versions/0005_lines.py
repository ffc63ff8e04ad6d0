"""Lines of orders and recipients of permits as rows; until now they were JSON in a column of their parent."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _order_lines()
    _permit_recipients()


def _order_lines() -> None:
    line = op.create_table(
        "order_line",
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("layer", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("handling_class", sa.String(length=16), nullable=False),
        sa.Column("licence", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("small", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("tiles", sa.Integer(), nullable=False),
        sa.Column("owned_tiles", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.String(length=40), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_order_line_dataset_id")),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"], name=op.f("fk_order_line_order_id")),
        sa.PrimaryKeyConstraint("order_id", "ordinal", name=op.f("pk_order_line")),
    )
    op.create_index(op.f("ix_order_line_dataset_id"), "order_line", ["dataset_id"], unique=False)
    _fill_order_lines(op.get_bind(), line)
    _append_only("order_line")
    op.drop_column("purchase_order", "lines")


def _fill_order_lines(conn: sa.Connection, line: sa.Table) -> None:
    found = conn.execute(sa.text("SELECT g.slug, d.slug, d.id FROM dataset d JOIN organisation g ON g.id = d.org_id"))
    datasets = {(org, dataset): dataset_id for org, dataset, dataset_id in found}
    for order_id, lines in conn.execute(sa.text("SELECT id, lines FROM purchase_order ORDER BY id")).all():
        rows = [
            {
                "order_id": order_id,
                "ordinal": ordinal,
                "dataset_id": datasets[one.pop("org"), one.pop("dataset")],
                "as_of": "",
                "bytes": 0,
                **one,
            }
            for ordinal, one in enumerate(json.loads(lines))
        ]
        if rows:
            conn.execute(sa.insert(line), rows)


def _permit_recipients() -> None:
    recipient = op.create_table(
        "permit_recipient",
        sa.Column("permit_id", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_permit_recipient_org_id")),
        sa.ForeignKeyConstraint(["permit_id"], ["permit.id"], name=op.f("fk_permit_recipient_permit_id")),
        sa.PrimaryKeyConstraint("permit_id", "org_id", name=op.f("pk_permit_recipient")),
    )
    op.create_index(op.f("ix_permit_recipient_org_id"), "permit_recipient", ["org_id"], unique=False)
    conn = op.get_bind()
    orgs = {slug: org_id for slug, org_id in conn.execute(sa.text("SELECT slug, id FROM organisation"))}
    permits = conn.execute(sa.text("SELECT id, recipients FROM permit ORDER BY id")).all()
    rows = [
        {"permit_id": permit_id, "org_id": orgs[slug], "ordinal": ordinal}
        for permit_id, recipients in permits
        for ordinal, slug in enumerate(json.loads(recipients))
    ]
    if rows:
        conn.execute(sa.insert(recipient), rows)
    op.drop_column("permit", "recipients")


def _append_only(table: str) -> None:
    """As in 0002."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            refuse = f"SELECT RAISE(ABORT, '{table} is append-only')"
            op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN {refuse}; END")
        return
    op.execute(f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION mapex_append_only()")
    op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION mapex_append_only()")
