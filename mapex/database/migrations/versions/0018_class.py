"""The class of what was read as a column of the log, from what each entry was committed to: what a filter and an index need."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0015"
branch_labels = None
depends_on = None

FILL = "UPDATE audit_event SET class = {} WHERE action IN ('access.granted', 'access.refused')"
REFUSE = "CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END"


def upgrade() -> None:
    op.execute("ALTER TABLE audit_event ADD COLUMN class VARCHAR(32) DEFAULT '' NOT NULL")
    # Entries stay as they are; the guard steps aside, in this transaction, for what repeats them.
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_event_no_update")
        op.execute(FILL.format("CASE WHEN json_valid(payload) THEN COALESCE(json_extract(payload, '$.class'), '') ELSE '' END"))
        op.execute(REFUSE)
    else:
        op.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_append_only")
        written = sa.text(FILL.format("""COALESCE(substring(payload from '"class":"([a-z]+)"'), '')"""))
        op.get_bind().execute(written)
        op.execute("ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_append_only")
    op.create_index("ix_audit_event_class", "audit_event", ["class", "seq"], unique=False)
