"""Which grants were read to the end. Of those that exist already nobody wrote it down: their rows have no time."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_served",
        sa.Column("grant_id", sa.String(length=40), nullable=False),
        sa.Column("served_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["grant_id"], ["access_grant.id"], name=op.f("fk_access_served_grant_id")),
        sa.PrimaryKeyConstraint("grant_id", name=op.f("pk_access_served")),
    )
    op.execute("INSERT INTO access_served (grant_id) SELECT id FROM access_grant")
