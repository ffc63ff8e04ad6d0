"""Who takes part: organisations and their domains, persons, their tokens and invitations, and attempts to log in."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text

from mapex.database.tables.columns import id_column, metadata, ref

organisation = Table(
    "organisation",
    metadata,
    id_column(),
    Column("slug", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("state", String(16), nullable=False),  # active | suspended
    Column("created_ns", BigInteger, nullable=False),
    Column("signer", Integer, nullable=False, server_default="1"),  # raising it ends the download addresses that are out
)

# Mail domains of which the operator was shown that they are the organisation's; each is of one only.
org_domain = Table(
    "org_domain",
    metadata,
    Column("domain", String(190), primary_key=True),
    ref("org_id", "organisation.id", index=True),
    Column("created_ns", BigInteger, nullable=False),
)

person = Table(
    "person",
    metadata,
    id_column(),
    Column("email", String(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    ref("org_id", "organisation.id", nullable=True, index=True),
    Column("role", String(16), nullable=False),  # member | auditor | operator
    Column("state", String(16), nullable=False),  # active | suspended
    Column("password_hash", String(255)),
    Column("session_key", String(64), nullable=False, unique=True),  # changing it ends every session of the person
    Column("language", String(8), nullable=False, server_default="ko"),
    Column("created_ns", BigInteger, nullable=False),
    Column("proven_ns", BigInteger),  # since when the address is known to be theirs; null: it makes room for whoever proves it
)

api_token = Table(
    "api_token",
    metadata,
    id_column(),
    ref("person_id", "person.id", index=True),
    Column("hash", String(64), nullable=False, unique=True),  # sha256 of the secret, hex
    Column("name", String(255), nullable=False),
    Column("scopes", Text, nullable=False),  # space separated; "*" = whatever the person may
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("revoked_ns", BigInteger),
)

invitation = Table(
    "invitation",
    metadata,
    id_column(),
    Column("hash", String(64), nullable=False, unique=True),  # sha256 of the secret in the link, hex
    Column("email", String(255), nullable=False),
    ref("org_id", "organisation.id", nullable=True, index=True),
    Column("role", String(16), nullable=False),
    ref("inviter_id", "person.id", nullable=True),  # null: invited at the machine
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),  # redeemed or taken back
    ref("person_id", "person.id", nullable=True),  # who redeemed it
    Column("handed", String(16)),  # how its link reaches the address: mail | operator; null: nobody has handed it out yet
)

# Attempts to log in, per minute and keyed hash of who tries (see `mapex.database.attempts`).
attempt = Table(
    "attempt",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("ends_ns", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
