"""What a version changes feature by feature, and the accuracy of a layer that its seller states."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0019"
branch_labels = None
depends_on = None


def _layer(name: str, table: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(40), sa.ForeignKey("layer.id", name=f"fk_{table}_{name}"), nullable=False)


def upgrade() -> None:
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
