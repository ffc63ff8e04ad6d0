"""With which token a token or an invitation was made: it ends with that. Of those of before it is not known; they end as they did."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column in (("api_token", "parent_id"), ("invitation", "token_id")):
        # In SQL, for SQLite adds a reference with its column or not at all.
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} VARCHAR(40) CONSTRAINT fk_{table}_{column} REFERENCES api_token (id)")
        op.create_index(f"ix_{table}_{column}", table, [column], unique=False)
