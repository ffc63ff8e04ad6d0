"""What is owned, by purpose and under the terms on offer; the terms of each line of an order.

What is owned was one sum for all purposes and licences. It is made anew of the entitlements, for each purpose: of what is held for it or
a wider one, under the licence of the live offer or a wider one. Licence and attribution of entitlements are those of the offer under which
they were ordered; what has a word that is not known counts for nothing else. The rule is the one of this revision.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STUDIES = ("research", "simulation", "safety_validation")
PRODUCTS = ("perception_training", "localisation", "route_planning", "map_production")
LICENCES = ("research", "commercial", "share_alike")

QUANTITIES = ("lane_mm", "footway_mm", "cycleway_mm", "crossings", "signs", "signals", "features", "points", "frames", "ms", "bytes")
SALE_ZOOM, COARSEST = 16, 6


def upgrade() -> None:
    op.drop_table("owned_sum")
    op.create_table(
        "owned_sum",
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("z", sa.Integer(), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("layer_id", sa.String(length=40), nullable=False),
        sa.Column("cells", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in QUANTITIES),
        sa.ForeignKeyConstraint(["layer_id"], ["layer.id"], name=op.f("fk_owned_sum_layer_id")),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_owned_sum_org_id")),
        sa.PrimaryKeyConstraint("org_id", "purpose", "z", "cell", "layer_id", name=op.f("pk_owned_sum")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_owned_sum_layer_id", "owned_sum", ["layer_id"], unique=False)
    _fill_owned(op.get_bind())
    _note_terms()


def _fill_owned(conn: sa.Connection) -> None:
    purposes = [(one, one) for one in (*STUDIES, *PRODUCTS)] + [(wide, narrow) for wide in PRODUCTS for narrow in STUDIES]
    purposes += [(one, "") for one in (*STUDIES, *PRODUCTS)]
    licences = [(one, one) for one in LICENCES] + [("commercial", "research"), ("share_alike", "research")]
    counting = f"WITH purposes(held, wanted) AS (VALUES {_rows(purposes)}), licences(held, wanted) AS (VALUES {_rows(licences)})"
    columns = ", ".join(("cells", *QUANTITIES))
    of_tiles = ", ".join(f"SUM(t.{name})" for name in QUANTITIES)
    conn.execute(
        sa.text(
            f"{counting} INSERT INTO owned_sum (org_id, purpose, z, cell, layer_id, {columns}) "
            f"SELECT e.org_id, e.purpose, {SALE_ZOOM}, t.cell, t.layer_id, CASE WHEN COUNT(*) = "
            "(SELECT COUNT(*) FROM tile p WHERE p.layer_id = t.layer_id AND p.cell = t.cell) THEN 1 ELSE 0 END, "
            f"{of_tiles} FROM (SELECT DISTINCT e.org_id, p.wanted AS purpose, o.version_id, e.layer_name, e.cell, e.part, e.sha256 "
            "FROM entitlement e JOIN offer f ON f.id = e.offer_id JOIN offer o ON o.dataset_id = e.dataset_id AND o.state = 'live' "
            "JOIN licences k ON k.held = f.licence AND k.wanted = o.licence JOIN purposes p ON p.held = e.purpose "
            "WHERE e.state = 'active') e JOIN layer l ON l.version_id = e.version_id AND l.name = e.layer_name "
            "JOIN tile t ON t.layer_id = l.id AND t.cell = e.cell AND t.part = e.part AND t.sha256 = e.sha256 "
            "GROUP BY e.org_id, e.purpose, t.cell, t.layer_id"
        )
    )
    sums = ", ".join(f"SUM({name})" for name in ("cells", *QUANTITIES))
    for z in range(SALE_ZOOM - 1, COARSEST - 1, -1):
        conn.execute(
            sa.text(
                f"INSERT INTO owned_sum (org_id, purpose, z, cell, layer_id, {columns}) SELECT org_id, purpose, {z}, cell >> 2, layer_id, "
                f"{sums} FROM owned_sum WHERE z = {z + 1} GROUP BY org_id, purpose, cell >> 2, layer_id"
            )
        )


def _rows(pairs: list[tuple[str, str]]) -> str:
    return ", ".join(f"('{held}', '{wanted}')" for held, wanted in pairs)


def _note_terms() -> None:
    """The attribution under which each line was ordered; the digest of what was ordered before stays empty."""
    op.add_column("order_line", sa.Column("attribution", sa.Text(), server_default="", nullable=False))
    op.add_column("order_line", sa.Column("terms", sa.String(length=64), server_default="", nullable=False))
    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:
        op.execute("DROP TRIGGER order_line_no_update")
    else:
        op.execute("ALTER TABLE order_line DISABLE TRIGGER order_line_append_only")
    op.execute(
        "UPDATE order_line SET attribution = COALESCE((SELECT MIN(o.attribution) FROM entitlement e JOIN offer o ON o.id = e.offer_id "
        "WHERE e.order_id = order_line.order_id AND e.dataset_id = order_line.dataset_id AND e.layer_name = order_line.layer), '')"
    )
    if sqlite:
        refuse = "SELECT RAISE(ABORT, 'order_line is append-only')"
        op.execute(f"CREATE TRIGGER order_line_no_update BEFORE UPDATE ON order_line BEGIN {refuse}; END")
    else:
        op.execute("ALTER TABLE order_line ENABLE TRIGGER order_line_append_only")
