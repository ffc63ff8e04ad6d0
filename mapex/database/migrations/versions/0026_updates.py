"""What newer versions of tiles cost whoever buys them: a term of offers and order lines, and until when it is nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("offer", sa.Column("updates", sa.String(length=16), server_default="paid", nullable=False))
    op.add_column("order_line", sa.Column("updates", sa.String(length=16), server_default="paid", nullable=False))
    op.add_column("order_line", sa.Column("free_tiles", sa.Integer(), server_default="0", nullable=False))
    op.add_column("order_line", sa.Column("free_until_ns", sa.BigInteger(), server_default="0", nullable=False))
