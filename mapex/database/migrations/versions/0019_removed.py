"""Datasets that their seller removed, and versions whose conversion was cancelled: until now these counted as failed."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dataset", sa.Column("removed_ns", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE dataset_version SET state = 'cancelled' WHERE state = 'failed' AND 'cancelled' = "
        "(SELECT j.state FROM job j WHERE j.version_id = dataset_version.id ORDER BY j.seq DESC LIMIT 1)"
    )
