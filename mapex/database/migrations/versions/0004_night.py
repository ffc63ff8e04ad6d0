"""An index of the accesses at night, which the figures of the audit log group again for every view."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rows = sa.text("action = 'access.granted' AND permit <> '' AND ((at_ns + 32400000000000) / 3600000000000) % 24 < 6")
    op.create_index(
        "ix_audit_event_night", "audit_event", ["action", "person", "at_ns"], unique=False, sqlite_where=rows, postgresql_where=rows
    )
