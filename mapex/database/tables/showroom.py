"""What sellers say about what they sell, and what buyers ask them: descriptions, questions and their messages."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, String, Table, Text, false

from mapex.database.tables.columns import id_column, metadata, ref

# A dataset without a row is from before there were any: it has no description and gives no sample.
dataset_description = Table(
    "dataset_description",
    metadata,
    Column("dataset_id", String(40), ForeignKey("dataset.id"), primary_key=True),
    Column("ko", Text, nullable=False, server_default=""),
    Column("en", Text, nullable=False, server_default=""),
    Column("accuracy_mm", BigInteger),  # as the seller states it; null: not stated
    Column("accuracy_basis", Text, nullable=False, server_default=""),  # what the number is: 1 sigma, RMSE at check points, ...
    Column("method", Text, nullable=False, server_default=""),
    Column("sensors", Text, nullable=False, server_default=""),
    Column("sample", Boolean, nullable=False, server_default=false()),  # whether a tile of each layer that may be shown is free
    Column("described_ns", BigInteger, nullable=False),
)

seller_description = Table(
    "seller_description",
    metadata,
    Column("org_id", String(40), ForeignKey("organisation.id"), primary_key=True),
    Column("ko", Text, nullable=False, server_default=""),
    Column("en", Text, nullable=False, server_default=""),
    Column("described_ns", BigInteger, nullable=False),
)

# A question of an organisation about a dataset, with its messages; each side has seen it up to a moment.
question = Table(
    "question",
    metadata,
    id_column(),
    ref("dataset_id", "dataset.id", index=True),
    ref("org_id", "organisation.id", index=True),  # who asks
    Column("created_ns", BigInteger, nullable=False),
    Column("newest_ns", BigInteger, nullable=False),
    Column("asker_seen_ns", BigInteger, nullable=False),
    Column("seller_seen_ns", BigInteger, nullable=False, server_default="0"),
)

question_message = Table(
    "question_message",
    metadata,
    id_column(),
    ref("question_id", "question.id", index=True),
    ref("org_id", "organisation.id"),
    ref("person_id", "person.id"),
    Column("text", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
