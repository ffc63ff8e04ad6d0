"""Tables of the market's pages."""

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
    from mapex.pyramid import shown

    shown.show_all(op.get_bind())


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
