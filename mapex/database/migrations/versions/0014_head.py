"""Numbers of the log without gaps on PostgreSQL too, and a count of entries and checkpoints that only goes on by one."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "log_head",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("gaps", sa.BigInteger(), nullable=False),
        sa.Column("gaps_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_log_head")),
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def _count(gaps: str, gaps_until: str) -> None:
    op.execute(f"INSERT INTO log_head SELECT 'audit_event', COALESCE(MAX(seq), 0), {gaps}, {gaps_until} FROM audit_event")
    op.execute("INSERT INTO log_head SELECT 'log_checkpoint', COUNT(*), 0, 0 FROM log_checkpoint")


def _sqlite() -> None:
    _count("0", "0")  # there never was a gap
    refuse = "SELECT RAISE(ABORT, 'log_head only goes on')"
    same = "NEW.newest = OLD.newest + 1 AND NEW.name = OLD.name AND NEW.gaps = OLD.gaps AND NEW.gaps_until = OLD.gaps_until"
    op.execute(f"CREATE TRIGGER log_head_goes_on BEFORE UPDATE ON log_head WHEN NOT ({same}) BEGIN {refuse}; END")
    for verb in ("DELETE", "INSERT"):
        op.execute(f"CREATE TRIGGER log_head_no_{verb.lower()} BEFORE {verb} ON log_head BEGIN {refuse}; END")
    for table in ("audit_event", "log_checkpoint"):
        count = f"UPDATE log_head SET newest = newest + 1 WHERE name = '{table}'"
        op.execute(f"CREATE TRIGGER {table}_counted AFTER INSERT ON {table} BEGIN {count}; END")


def _postgresql() -> None:
    op.execute("LOCK TABLE audit_event, log_checkpoint IN SHARE ROW EXCLUSIVE MODE")  # nobody has a number and has not committed
    _count("COALESCE(MAX(seq), 0) - COUNT(*)", "COALESCE(MAX(seq), 0)")
    op.execute("DROP FUNCTION mapex_settled_head()")
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    # With the rights of who owns the log: the role of the services may read the head, and no more.
    as_owner = f"RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS"
    op.execute(
        f"CREATE FUNCTION mapex_number() {as_owner} $$ BEGIN UPDATE log_head SET newest = newest + 1 WHERE name = TG_TABLE_NAME "
        "RETURNING newest INTO NEW.seq; RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE FUNCTION mapex_count() {as_owner} $$ BEGIN UPDATE log_head SET newest = newest + 1 WHERE name = TG_TABLE_NAME; "
        "RETURN NEW; END $$"
    )
    op.execute(
        "CREATE FUNCTION mapex_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'UPDATE' AND NEW.newest = OLD.newest + 1 "
        "AND (NEW.name, NEW.gaps, NEW.gaps_until) = (OLD.name, OLD.gaps, OLD.gaps_until) THEN RETURN NEW; END IF; "
        "RAISE EXCEPTION 'log_head only goes on' USING ERRCODE = 'restrict_violation'; END $$"
    )
    for table, name, when in (
        ("audit_event", "counted", "BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION mapex_number()"),
        ("log_checkpoint", "counted", "BEFORE INSERT ON log_checkpoint FOR EACH ROW EXECUTE FUNCTION mapex_count()"),
        ("log_head", "goes_on", "BEFORE INSERT OR UPDATE OR DELETE ON log_head FOR EACH ROW EXECUTE FUNCTION mapex_goes_on()"),
        ("log_head", "no_truncate", "BEFORE TRUNCATE ON log_head FOR EACH STATEMENT EXECUTE FUNCTION mapex_goes_on()"),
    ):
        op.execute(f"CREATE TRIGGER {table}_{name} {when}")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}")
