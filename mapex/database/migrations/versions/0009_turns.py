"""When a job was taken last: organisations take turns at the workers."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("claimed_ns", sa.BigInteger(), nullable=True))
    op.create_index("ix_job_claimed", "job", ["org_id", "claimed_ns"], unique=False)
