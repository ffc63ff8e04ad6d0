"""Reviews of pseudonymised footage: what was asked, and each state that a request came into. Rows are only added."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from mapex.database.tables.columns import id_column, metadata, ref

footage_review = Table(
    "footage_review",
    metadata,
    id_column(),
    ref("version_id", "dataset_version.id", index=True),
    Column("layer", String(64), nullable=False),  # its name: the rows of layers of a removed version go
    Column("method", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("sample", BigInteger, nullable=False),  # frames that were looked at
    Column("statement", Text, nullable=False),
    Column("document_name", Text, nullable=False),  # "" without a document
    Column("object_key", String(255)),
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Index("ix_footage_review_object_key", "object_key"),
)

footage_review_step = Table(
    "footage_review_step",
    metadata,
    Column("review_id", String(40), ForeignKey("footage_review.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("state", String(16), nullable=False),  # requested | under_review | accepted | refused
    Column("at_ns", BigInteger, nullable=False),
    ref("person_id", "person.id", nullable=True),  # null: the person at the machine
    Column("record", Text, nullable=False),  # JSON: what was decided; {} before
)
