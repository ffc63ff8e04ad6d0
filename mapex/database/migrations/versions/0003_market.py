"""Tables of the market's pages."""

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _showcase()
    _orders()
    _previews()
    _demand()
    _invitations()
    _areas()
    _attempts()


def _showcase() -> None:
    """What the map shows, filled from what is on offer already."""
    op.create_table(
        "shown_layer",
        sa.Column("layer_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("seen_ns", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["layer_id"], ["layer.id"], name=op.f("fk_shown_layer_layer_id")),
        sa.PrimaryKeyConstraint("layer_id", name=op.f("pk_shown_layer")),
    )
    op.create_table(
        "kind_sum",
        sa.Column("z", sa.Integer(), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("cells", sa.BigInteger(), nullable=False),
        sa.Column("seen_ns", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("z", "cell", "kind", name=op.f("pk_kind_sum")),
        sqlite_with_rowid=False,
    )
    _show_what_is_on_offer(op.get_bind())


def _show_what_is_on_offer(conn: sa.Connection) -> None:
    layers = sa.text(
        "SELECT l.id, l.kind, l.name, l.about, l.version_id, COALESCE(v.published_ns, v.created_ns) AS since FROM layer l "
        "JOIN dataset_version v ON v.id = l.version_id JOIN dataset d ON d.id = v.dataset_id "
        "JOIN organisation g ON g.id = d.org_id AND g.state = 'active' "
        "WHERE l.id IN (SELECT layer_id FROM tile_sum) ORDER BY l.id"
    )
    rows = []
    for layer in conn.execute(layers).all():
        seen, score = _seen_and_quality(json.loads(layer.about), _warnings(conn, layer.version_id, layer.name), layer.since)
        rows.append({"layer": layer.id, "kind": layer.kind, "seen": seen, "quality": score})
    if not rows:
        return
    conn.execute(sa.text("INSERT INTO shown_layer (layer_id, kind, seen_ns, quality) VALUES (:layer, :kind, :seen, :quality)"), rows)
    conn.execute(
        sa.text(
            "INSERT INTO kind_sum (z, cell, kind, cells, seen_ns, quality) "
            "SELECT s.z, s.cell, k.kind, SUM(s.cells), MAX(k.seen_ns), MAX(k.quality) FROM shown_layer k "
            "JOIN tile_sum s ON s.layer_id = k.layer_id GROUP BY s.z, s.cell, k.kind"
        )
    )


def _warnings(conn: sa.Connection, version_id: str, layer: str) -> int:
    asked = sa.text(
        "SELECT COALESCE(SUM(count), 0) FROM finding WHERE version_id = :version AND severity = 'warning' AND layer IN (:layer, '')"
    )
    return int(conn.execute(asked, {"version": version_id, "layer": layer}).scalar_one())


def _seen_and_quality(about: dict[str, Any], warnings: int, published_ns: int) -> tuple[int, int]:
    """The rule of freshness and quality as it was in this revision; -1 is unknown."""
    counts = about.get("counts")
    read, placed = (counts.get("read", 0), counts.get("placed", 0)) if isinstance(counts, dict) else (0, 0)
    score = (200 * placed - 100 * min(max(warnings, 0), placed)) // (2 * read) if read > 0 else -1
    captured = about.get("captured")
    if not isinstance(captured, list) or not captured or not isinstance(captured[-1], str):
        return published_ns, score
    return min(_ns(captured[-1], published_ns), published_ns), score


def _ns(iso: str, otherwise: int) -> int:
    """UTC nanoseconds of an ISO 8601 time, UTC where it names no zone; `otherwise` for what is none."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return otherwise
    if not 1678 <= moment.year <= 2261:
        return otherwise
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000


def _orders() -> None:
    """Names of areas, and who may download an order."""
    op.add_column("quote", sa.Column("name", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "order_person",
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"], name=op.f("fk_order_person_order_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_order_person_person_id")),
        sa.PrimaryKeyConstraint("order_id", "person_id", name=op.f("pk_order_person")),
    )


def _previews() -> None:
    """What may be looked at before buying."""
    op.create_table(
        "preview",
        sa.Column("layer_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("object_key", sa.String(length=255), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["layer_id"], ["layer.id"], name=op.f("fk_preview_layer_id")),
        sa.UniqueConstraint("layer_id", "kind", "ordinal", name=op.f("uq_preview_layer_id_kind_ordinal")),
    )
    op.create_index("ix_preview_object_key", "preview", ["object_key"], unique=False)


def _demand() -> None:
    """Where buyers asked in vain."""
    op.create_table(
        "demand",
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cell", "kind", "month", name=op.f("pk_demand")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "demand_day",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_demand_day")),
    )
    op.create_table(
        "demand_seen",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_demand_seen")),
        sqlite_with_rowid=False,
    )


def _invitations() -> None:
    """Links that make somebody a person of the exchange."""
    op.create_table(
        "invitation",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("inviter_id", sa.String(length=40), nullable=True),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("person_id", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["inviter_id"], ["person.id"], name=op.f("fk_invitation_inviter_id")),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_invitation_org_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_invitation_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("hash", name=op.f("uq_invitation_hash")),
    )
    op.create_index(op.f("ix_invitation_org_id"), "invitation", ["org_id"], unique=False)


def _areas() -> None:
    """Areas that an organisation saved."""
    op.create_table(
        "saved_area",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("area_m2", sa.BigInteger(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_saved_area_org_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_area")),
        sa.UniqueConstraint("org_id", "name", name=op.f("uq_saved_area_org_id_name")),
    )


def _attempts() -> None:
    """Attempts to log in."""
    op.create_table(
        "attempt",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attempt")),
        sqlite_with_rowid=False,
    )
