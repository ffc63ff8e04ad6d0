"""What a version changes feature by feature, the accuracy of a layer that its seller states, and reviews of pseudonymised footage."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def _layer(name: str, table: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(40), sa.ForeignKey("layer.id", name=f"fk_{table}_{name}"), nullable=False)


KEYS = {"footage_review": ("id",), "footage_review_step": ("review_id", "ordinal")}
"""The append-only tables, and what is unique in each."""


def upgrade() -> None:
    _changes()
    _reviews()
    for table, key in KEYS.items():
        _guard(table, key)


def _changes() -> None:
    op.add_column("layer", sa.Column("accuracy_mm", sa.Integer(), nullable=True))
    op.create_table(
        "layer_change",
        sa.Column("layer_id", sa.String(40), nullable=False),
        _layer("against_id", "layer_change"),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("layer_id", name="pk_layer_change"),
    )
    op.create_table(
        "tile_change",
        _layer("layer_id", "tile_change"),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("others", sa.Integer(), nullable=False),
        sa.Column("shift_um", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.UniqueConstraint("layer_id", "cell", name="uq_tile_change_layer_id_cell"),
    )
    op.create_table(
        "same_tile",
        _layer("layer_id", "same_tile"),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        _layer("held_id", "same_tile"),
        sa.UniqueConstraint("layer_id", "cell", "held_id", name="uq_same_tile_layer_id_cell_held_id"),
    )


def _reviews() -> None:
    op.create_table(
        "footage_review",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("version_id", sa.String(40), nullable=False),
        sa.Column("layer", sa.String(64), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("sample", sa.BigInteger(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("document_name", sa.Text(), nullable=False),
        sa.Column("object_key", sa.String(255), nullable=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["dataset_version.id"], name="fk_footage_review_version_id"),
        sa.PrimaryKeyConstraint("id", name="pk_footage_review"),
    )
    op.create_index("ix_footage_review_version_id", "footage_review", ["version_id"])
    op.create_index("ix_footage_review_object_key", "footage_review", ["object_key"])
    op.create_table(
        "footage_review_step",
        sa.Column("review_id", sa.String(40), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.String(40), nullable=True),
        sa.Column("record", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["review_id"], ["footage_review.id"], name="fk_footage_review_step_review_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_footage_review_step_person_id"),
        sa.PrimaryKeyConstraint("review_id", "ordinal", name="pk_footage_review_step"),
    )


def _guard(table: str, key: tuple[str, ...]) -> None:
    if op.get_bind().dialect.name == "sqlite":
        refuse = f"SELECT RAISE(ABORT, '{table} is append-only')"
        for verb in ("UPDATE", "DELETE"):
            op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN {refuse}; END")
        same = " AND ".join(f"{name} = NEW.{name}" for name in key)
        there = f"SELECT 1 FROM {table} WHERE (rowid = NEW.rowid) OR ({same})"
        op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS ({there}) BEGIN {refuse}; END")
        return
    for name, when in (("append_only", "UPDATE OR DELETE ON {} FOR EACH ROW"), ("no_truncate", "TRUNCATE ON {} FOR EACH STATEMENT")):
        op.execute(f"CREATE TRIGGER {table}_{name} BEFORE {when.format(table)} EXECUTE FUNCTION mapex_append_only()")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}")
