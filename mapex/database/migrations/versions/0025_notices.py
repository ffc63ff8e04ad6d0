"""Notices for persons, how each kind is to come, saved areas that are watched, and offers nobody has looked at for them yet."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "area_watch",
        sa.Column("area_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("news", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["area_id"], ["saved_area.id"], name=op.f("fk_area_watch_area_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_area_watch_person_id")),
        sa.PrimaryKeyConstraint("area_id", "person_id", name=op.f("pk_area_watch")),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=200), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("read_ns", sa.BigInteger(), nullable=True),
        sa.Column("mail", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_notice_org_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_notice_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("person_id", "kind", "cause", name=op.f("uq_notice_person_id_kind_cause")),
    )
    op.create_index(op.f("ix_notice_due_ns"), "notice", ["due_ns"], unique=False)
    op.create_index("ix_notice_person_id_at_ns", "notice", ["person_id", "at_ns"], unique=False)
    op.create_table(
        "notice_wish",
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("way", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_notice_wish_person_id")),
        sa.PrimaryKeyConstraint("person_id", "kind", name=op.f("pk_notice_wish")),
    )
    op.create_table(
        "offer_news",
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("offer_id", sa.String(length=40), nullable=False),
        sa.Column("before_id", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["before_id"], ["offer.id"], name=op.f("fk_offer_news_before_id")),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_offer_news_dataset_id")),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name=op.f("fk_offer_news_offer_id")),
        sa.PrimaryKeyConstraint("dataset_id", name=op.f("pk_offer_news")),
    )
    op.create_index(op.f("ix_quote_expires_ns"), "quote", ["expires_ns"], unique=False)
