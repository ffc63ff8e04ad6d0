"""What `mapex doctor` found when it attacked the exchange; and of unmet demand, how much of a count is organisations of a month."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "examination",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_examination")),
    )
    op.add_column("demand", sa.Column("firms", sa.Integer(), nullable=False, server_default="0"))
