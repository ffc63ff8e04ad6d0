"""Notices for persons and how each is to come, saved areas that are watched, offers nobody has looked at for them yet."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from mapex.database.tables.columns import id_column, metadata, ref

# One row for a person and cause, however often it is written. `org_id` is the organisation that it concerns: who has left sees it no more.
notice = Table(
    "notice",
    metadata,
    id_column(),
    ref("person_id", "person.id"),
    ref("org_id", "organisation.id", nullable=True),
    Column("kind", String(16), nullable=False),
    Column("cause", String(200), nullable=False),
    Column("about", Text, nullable=False),  # JSON: ids and names of what it is about
    Column("at_ns", BigInteger, nullable=False),
    Column("read_ns", BigInteger),
    Column("mail", String(16), nullable=False),  # none | waiting | sent | failed | dropped
    Column("tries", Integer, nullable=False),
    Column("due_ns", BigInteger, index=True),  # of mail that waits: when it is to be tried; who tries it moves that on
    UniqueConstraint("person_id", "kind", "cause"),
    Index("ix_notice_person_id_at_ns", "person_id", "at_ns"),
)

# What a person chose for a kind of notice; no row: as is usual for the kind.
notice_wish = Table(
    "notice_wish",
    metadata,
    Column("person_id", String(40), ForeignKey("person.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("way", String(8), nullable=False),  # mail | page | none
)

# Of which saved areas a person wants news, and of what (space separated: new, version, cheaper).
area_watch = Table(
    "area_watch",
    metadata,
    Column("area_id", String(40), ForeignKey("saved_area.id"), primary_key=True),
    Column("person_id", String(40), ForeignKey("person.id"), primary_key=True),
    Column("news", String(64), nullable=False),
)

# Datasets with an offer that was made since the worker last looked whom their offers concern: the newest, and the last of before.
offer_news = Table(
    "offer_news",
    metadata,
    Column("dataset_id", String(40), ForeignKey("dataset.id"), primary_key=True),
    Column("offer_id", String(40), ForeignKey("offer.id"), nullable=False),
    Column("before_id", String(40), ForeignKey("offer.id"), nullable=True),
)
