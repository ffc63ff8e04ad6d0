"""What is allowed and what was done: permits, grants, the audit log and its checkpoints."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, text

from mapex.database.tables.columns import id_column, metadata, ref

permit = Table(
    "permit",
    metadata,
    id_column(),
    ref("org_id", "organisation.id", index=True),  # the holder
    Column("number", String(128), nullable=False, unique=True),
    Column("rule_set", String(64), nullable=False),
    Column("purposes", Text, nullable=False),  # JSON list of purpose codes
    Column("classes", Text, nullable=False),  # JSON list of handling classes
    Column("area", Text, nullable=False),  # GeoJSON geometry, WGS 84
    Column("valid_from_ns", BigInteger, nullable=False),
    Column("valid_to_ns", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # active | suspended | revoked
    Column("created_ns", BigInteger, nullable=False),
)

# Organisations beside the holder that may receive under a permit.
permit_recipient = Table(
    "permit_recipient",
    metadata,
    Column("permit_id", String(40), ForeignKey("permit.id"), primary_key=True),
    Column("org_id", String(40), ForeignKey("organisation.id"), primary_key=True, index=True),
    Column("ordinal", Integer, nullable=False),  # in the order in which the permit names them
)

# What a member asks the operator to enter as a permit; the document itself stays with who holds it.
permit_request = Table(
    "permit_request",
    metadata,
    id_column(),
    ref("org_id", "organisation.id", index=True),
    ref("person_id", "person.id"),
    Column("number", String(128), nullable=False),
    Column("issuer", String(255), nullable=False),
    Column("purposes", Text, nullable=False),  # as of `permit`
    Column("classes", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("valid_from_ns", BigInteger, nullable=False),
    Column("valid_to_ns", BigInteger, nullable=False),
    Column("document", String(255), nullable=False),  # name of the file
    Column("document_sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False, index=True),  # open | accepted | refused | withdrawn
    Column("reason", Text, nullable=False, server_default=""),
    Column("created_ns", BigInteger, nullable=False),
    Column("decided_ns", BigInteger),
    ref("permit_id", "permit.id", nullable=True),  # which permit it became
)

access_grant = Table(
    "access_grant",
    metadata,
    id_column(),
    ref("org_id", "organisation.id", index=True),
    ref("person_id", "person.id"),
    ref("entitlement_id", "entitlement.id", index=True),
    Column("object_key", String(255), nullable=False),
    Column("purpose", String(32), nullable=False),
    ref("permit_id", "permit.id", nullable=True),
    Column("issued_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
)

# Grants whose file went out to its last byte; without a time where that is not known (`mapex.rights.served`).
access_served = Table(
    "access_served",
    metadata,
    Column("grant_id", String(40), ForeignKey("access_grant.id"), primary_key=True),
    Column("served_ns", BigInteger),
)

NIGHT_ACCESS = text("action = 'access.granted' AND permit <> '' AND ((at_ns + 32400000000000) / 3600000000000) % 24 < 6")
"""What the flag `night` counts (`mapex.audit.flags`), in the very words of its query, or the index does not serve it. `action` leads the
index although it is the same in all of it: SQLite, which keeps no statistics, would take the index of all actions instead."""

audit_event = Table(
    "audit_event",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at_ns", BigInteger, nullable=False, index=True),
    Column("action", String(64), nullable=False, index=True),
    Column("person", String(255), nullable=False),  # e-mail, or "system"
    Column("org", String(64), nullable=False),  # slug of who acts
    Column("owner", String(64), nullable=False),  # slug of whose data or account it is
    Column("dataset", String(64), nullable=False),
    Column("layer", String(64), nullable=False),
    Column("tile", String(32), nullable=False),  # quadkey
    Column("purpose", String(32), nullable=False),
    Column("permit", String(128), nullable=False),  # number
    Column("class", String(32), nullable=False, server_default=""),  # handling class of what was read; "" where the entry names none
    Column("payload", Text, nullable=False),  # canonical JSON (RFC 8785) of the whole event
    Column("salt", String(64), nullable=False),
    Column("commitment", String(64), nullable=False),  # sha256(salt || payload), hex
    Index("ix_audit_event_org", "org", "at_ns"),
    Index("ix_audit_event_owner", "owner", "at_ns"),
    Index("ix_audit_event_tile", "tile", "at_ns"),
    Index("ix_audit_event_class", "class", "seq"),
    Index("ix_audit_event_night", "action", "person", "at_ns", sqlite_where=NIGHT_ACCESS, postgresql_where=NIGHT_ACCESS),
)

# How far a table goes that only grows, a row for each: the newest number of `audit_event`, how many rows `log_checkpoint` has. Triggers
# raise it by one with each row and refuse anything else, so that `mapex fsck` misses what was removed at the end, too. On PostgreSQL the
# number of an entry is given here; up to `gaps_until` numbers came from a sequence, and `gaps` of them were never used.
log_head = Table(
    "log_head",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("newest", BigInteger, nullable=False),
    Column("gaps", BigInteger, nullable=False),
    Column("gaps_until", BigInteger, nullable=False),
)

# The Merkle root over the first `size` entries (up to number `seq`), signed with a key that is not in the database, so that who has SQL
# and no secret cannot write history again before it (see `mapex.audit.checkpoints`).
log_checkpoint = Table(
    "log_checkpoint",
    metadata,
    Column("size", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("root", String(64), nullable=False),
    Column("edge", Text, nullable=False),  # roots of the full subtrees, from which the tree goes on; hex, space separated
    Column("at_ns", BigInteger, nullable=False),
    Column("signature", String(64), nullable=False),
)

# What `mapex doctor` found when it attacked the exchange, the newest of each thing (see `mapex.audit.examination`).
examination = Table(
    "examination",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("passed", Boolean, nullable=False),
    Column("message", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
