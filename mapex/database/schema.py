"""Tables of the exchange (SQLAlchemy Core), the same for SQLite and PostgreSQL.

Times are UTC nanoseconds (`*_ns`, 64 bit), money is integer KRW, cells are z16 Morton numbers, JSON is canonical text.
Rows of the tables in `APPEND_ONLY` are never changed nor deleted: triggers refuse it (see `mapex.database.migrations`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from tiles.batch import QUANTITIES

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

APPEND_ONLY = ("ledger_transaction", "ledger_entry", "audit_event", "access_grant", "order_line")
"""Tables whose rows a trigger protects from UPDATE and DELETE."""


def _id() -> Column[str]:
    return Column("id", String(40), primary_key=True)


def _ref(name: str, target: str, *, nullable: bool = False, index: bool = False) -> Column[str]:
    return Column(name, String(40), ForeignKey(target), nullable=nullable, index=index)


def _quantities() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False, server_default="0") for name in QUANTITIES]


organisation = Table(
    "organisation",
    metadata,
    _id(),
    Column("slug", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("state", String(16), nullable=False),  # active | suspended
    Column("created_ns", BigInteger, nullable=False),
)

person = Table(
    "person",
    metadata,
    _id(),
    Column("email", String(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    _ref("org_id", "organisation.id", nullable=True, index=True),
    Column("role", String(16), nullable=False),  # member | auditor | operator
    Column("state", String(16), nullable=False),  # active | suspended
    Column("password_hash", String(255)),
    Column("session_key", String(64), nullable=False, unique=True),  # changing it ends every session of the person
    Column("language", String(8), nullable=False, server_default="ko"),
    Column("created_ns", BigInteger, nullable=False),
)

api_token = Table(
    "api_token",
    metadata,
    _id(),
    _ref("person_id", "person.id", index=True),
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
    _id(),
    Column("hash", String(64), nullable=False, unique=True),  # sha256 of the secret in the link, hex
    Column("email", String(255), nullable=False),
    _ref("org_id", "organisation.id", nullable=True, index=True),
    Column("role", String(16), nullable=False),
    _ref("inviter_id", "person.id", nullable=True),  # null: invited at the machine
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),  # redeemed or taken back
    _ref("person_id", "person.id", nullable=True),  # who redeemed it
)

upload = Table(
    "upload",
    metadata,
    _id(),
    _ref("org_id", "organisation.id", index=True),
    _ref("person_id", "person.id"),
    Column("name", Text, nullable=False),  # the uploader's name for it, a relative path for files of a folder
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64)),  # promised by the client or null; the worker checks the truth
    Column("part_size", BigInteger, nullable=False),
    Column("store_key", String(255), nullable=False, unique=True),
    Column("store_upload_id", String(1024), nullable=False),
    Column("state", String(16), nullable=False),  # open | complete | aborted | removed
    Column("created_ns", BigInteger, nullable=False),
    Column("completed_ns", BigInteger),
)

job = Table(
    "job",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("seq", BigInteger, nullable=False, unique=True),  # first come, first served
    Column("kind", String(32), nullable=False),  # ingest
    _ref("org_id", "organisation.id", index=True),
    _ref("person_id", "person.id"),
    _ref("version_id", "dataset_version.id", nullable=True, index=True),
    Column("payload", Text, nullable=False),
    Column("state", String(16), nullable=False),  # queued | running | done | failed | cancelled
    Column("attempts", Integer, nullable=False, server_default="0"),  # the fencing token: a later attempt outdates an earlier one
    Column("attempt_limit", Integer, nullable=False),  # raised by a retry; `attempts` only ever grows
    Column("worker", String(255)),
    Column("run_at_ns", BigInteger, nullable=False),
    Column("lease_until_ns", BigInteger),
    Column("cancel", Integer, nullable=False, server_default="0"),
    Column("progress", Text, nullable=False, server_default="{}"),
    Column("error", Text),
    Column("created_ns", BigInteger, nullable=False),
    Column("finished_ns", BigInteger),
    Index("ix_job_queue", "state", "run_at_ns"),
)

dataset = Table(
    "dataset",
    metadata,
    _id(),
    _ref("org_id", "organisation.id", index=True),
    Column("slug", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("org_id", "slug"),
)

dataset_version = Table(
    "dataset_version",
    metadata,
    _id(),
    _ref("dataset_id", "dataset.id"),
    Column("number", Integer, nullable=False),
    # ingesting, failed (its job did; retry), unplaced (waits for an answer), rejected (errors block it), draft (ready),
    # published, superseded, withdrawn, recalled
    Column("state", String(16), nullable=False),
    Column("parent_id", String(40)),
    Column("request", Text, nullable=False),  # JSON: uploads, classes, placement given
    Column("manifest", Text),  # canonical JSON: sources, layers, counts, tool versions; tiles by digest
    Column("manifest_sha256", String(64)),
    Column("created_ns", BigInteger, nullable=False),
    Column("published_ns", BigInteger),
    UniqueConstraint("dataset_id", "number"),
)

layer = Table(
    "layer",
    metadata,
    _id(),
    _ref("version_id", "dataset_version.id"),
    Column("name", String(64), nullable=False),
    Column("kind", String(16), nullable=False),  # LayerKind
    Column("content", String(16), nullable=False),  # Content
    Column("handling_class", String(16)),  # open | restricted | pseudonymised | original; null cannot be published
    Column(
        "about", Text, nullable=False
    ),  # JSON: crs, crs_source, height_datum, box, counts {read, placed, unplaced, rejected}, captured_from/to_ns, quality
    Column("cells", Integer, nullable=False, server_default="0"),
    *_quantities(),
    UniqueConstraint("version_id", "name"),
)

tile = Table(
    "tile",
    metadata,
    _ref("layer_id", "layer.id"),
    Column("cell", BigInteger, nullable=False),
    Column("part", Integer, nullable=False),
    Column("object_key", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("media_type", String(128), nullable=False),
    Column("west", Float, nullable=False),
    Column("south", Float, nullable=False),
    Column("east", Float, nullable=False),
    Column("north", Float, nullable=False),
    *_quantities(),
    UniqueConstraint("layer_id", "cell", "part"),
    Index("ix_tile_object_key", "object_key"),
)

finding = Table(
    "finding",
    metadata,
    _id(),
    _ref("version_id", "dataset_version.id", index=True),
    Column("ordinal", Integer, nullable=False),
    Column("severity", String(8), nullable=False),  # error | warning | info
    Column("code", String(64), nullable=False),
    Column("file", Text, nullable=False),
    Column("layer", Text, nullable=False),
    Column("feature", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("fix", Text, nullable=False),
    Column("lon", Float),
    Column("lat", Float),
    Column("count", Integer, nullable=False, server_default="1"),
)

# What may be looked at before buying. Made of a layer at ingest; whether it is shown is decided each time (`mapex.catalogue.previews`).
preview = Table(
    "preview",
    metadata,
    _ref("layer_id", "layer.id"),
    Column("kind", String(16), nullable=False),  # facts | teaser | cloud | still | strip | clip
    Column("ordinal", Integer, nullable=False),  # of the pictures of a strip; else 0
    Column("object_key", String(255)),  # null: all of it is in `about`
    Column("sha256", String(64), nullable=False),  # "" without object
    Column("media_type", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("about", Text, nullable=False),  # JSON, by kind
    UniqueConstraint("layer_id", "kind", "ordinal"),
    Index("ix_preview_object_key", "object_key"),
)

offer = Table(
    "offer",
    metadata,
    _id(),
    _ref("org_id", "organisation.id", index=True),
    _ref("dataset_id", "dataset.id", index=True),
    _ref("version_id", "dataset_version.id", index=True),
    Column("state", String(16), nullable=False),  # live | replaced | withdrawn
    Column("licence", String(32), nullable=False),
    Column("attribution", Text, nullable=False, server_default=""),
    Column("rate_card", Text, nullable=False),  # JSON {unit: integer KRW}
    Column("created_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
)

# The pyramid: sums of every live offer's layers per cell at each zoom, so that a province is answered from a few thousand rows.
tile_sum = Table(
    "tile_sum",
    metadata,
    Column("z", Integer, primary_key=True),
    Column("cell", BigInteger, primary_key=True),
    Column("layer_id", String(40), ForeignKey("layer.id"), primary_key=True),
    Column("cells", Integer, nullable=False),
    *_quantities(),
    Index("ix_tile_sum_layer_id", "layer_id"),
    sqlite_with_rowid=False,
)

# What the map shows of each layer on offer, and the same per cell, zoom and kind over all sellers (see `mapex.pyramid.shown`).
shown_layer = Table(
    "shown_layer",
    metadata,
    Column("layer_id", String(40), ForeignKey("layer.id"), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("seen_ns", BigInteger, nullable=False),  # the newest capture, else the publication
    Column("quality", Integer, nullable=False),  # 0 to 100; -1 = unknown
)

kind_sum = Table(
    "kind_sum",
    metadata,
    Column("z", Integer, primary_key=True),
    Column("cell", BigInteger, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("cells", BigInteger, nullable=False),
    Column("seen_ns", BigInteger, nullable=False),
    Column("quality", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# The same pyramid of what each buyer owns already with the content that is on offer now: what an estimate takes off the sums above.
# Kept by `orders.place` and `offers.publish`; a row of z16 exists for every cell of which at least one part is owned.
owned_sum = Table(
    "owned_sum",
    metadata,
    Column("org_id", String(40), ForeignKey("organisation.id"), primary_key=True),
    Column("z", Integer, primary_key=True),
    Column("cell", BigInteger, primary_key=True),
    Column("layer_id", String(40), ForeignKey("layer.id"), primary_key=True),
    Column("cells", Integer, nullable=False),  # cells of which every part is owned
    *_quantities(),
    Index("ix_owned_sum_layer_id", "layer_id"),
    sqlite_with_rowid=False,
)

permit = Table(
    "permit",
    metadata,
    _id(),
    _ref("org_id", "organisation.id", index=True),  # the holder
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

quote = Table(
    "quote",
    metadata,
    _id(),
    _ref("org_id", "organisation.id", index=True),
    _ref("person_id", "person.id"),
    Column("purpose", String(32), nullable=False),
    Column("request", Text, nullable=False),  # canonical JSON: region, datasets, layers
    Column("body", Text, nullable=False),  # canonical JSON: lines, cells, subtotal, vat, total, pinned offers and layers
    Column("tiles_sha256", String(64), nullable=False),  # digest of the exact tile set
    Column("total", BigInteger, nullable=False),
    Column("signature", String(128), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("name", Text, nullable=False, server_default=""),  # what the buyer calls the area; a note of theirs, neither signed nor logged
)

order = Table(
    "purchase_order",
    metadata,
    _id(),
    _ref("org_id", "organisation.id", index=True),
    _ref("person_id", "person.id"),
    Column("quote_id", String(40), ForeignKey("quote.id"), nullable=False, unique=True),  # a quote is bought once
    Column("key", String(255), nullable=False),
    Column("body_sha256", String(64), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # paid | ready
    Column("subtotal", BigInteger, nullable=False),
    Column("vat", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("org_id", "key"),
)

# What was billed: the lines of the quote, as they were signed there. `small` counts in the unit's small measure.
order_line = Table(
    "order_line",
    metadata,
    Column("order_id", String(40), ForeignKey("purchase_order.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    _ref("dataset_id", "dataset.id", index=True),
    Column("version", Integer, nullable=False),
    Column("layer", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("handling_class", String(16), nullable=False),
    Column("licence", String(32), nullable=False),
    Column("unit", String(32), nullable=False),
    Column("small", BigInteger, nullable=False),
    Column("rate", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),  # KRW before VAT
    Column("tiles", Integer, nullable=False),
    Column("owned_tiles", Integer, nullable=False),
    Column("as_of", String(40), nullable=False),  # "" in orders from before it was noted
    Column("bytes", BigInteger, nullable=False),  # 0 in orders from before it was noted
)

# Who of the buyer's organisation may download an order; an order without a row is open to all of them.
order_person = Table(
    "order_person",
    metadata,
    Column("order_id", String(40), ForeignKey("purchase_order.id"), primary_key=True),
    Column("person_id", String(40), ForeignKey("person.id"), primary_key=True),
)

entitlement = Table(
    "entitlement",
    metadata,
    _id(),
    _ref("org_id", "organisation.id"),
    _ref("order_id", "purchase_order.id"),
    _ref("offer_id", "offer.id"),
    _ref("dataset_id", "dataset.id"),
    _ref("layer_id", "layer.id"),
    Column("layer_name", String(64), nullable=False),
    Column("cell", BigInteger, nullable=False),
    Column("part", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("purpose", String(32), nullable=False),
    _ref("permit_id", "permit.id", nullable=True),
    Column("paid", Integer, nullable=False),  # 0: owned before with the same content, so it cost nothing
    Column("state", String(16), nullable=False),  # active | suspended | recalled
    UniqueConstraint("order_id", "layer_id", "cell", "part"),
    Index("ix_entitlement_owned", "org_id", "dataset_id", "cell"),
)

ledger_account = Table(
    "ledger_account",
    metadata,
    _id(),
    Column("kind", String(16), nullable=False),  # wallet | vat | bank
    _ref("org_id", "organisation.id", nullable=True, index=True),
    Column("balance", BigInteger, nullable=False, server_default="0"),  # cached sum of the entries
    CheckConstraint("kind <> 'wallet' OR balance >= 0", name="wallet_not_negative"),
    UniqueConstraint("kind", "org_id"),
)

ledger_transaction = Table(
    "ledger_transaction",
    metadata,
    _id(),
    Column("kind", String(16), nullable=False),  # credit | order
    _ref("order_id", "purchase_order.id", nullable=True),
    Column("key", String(255), unique=True),  # makes a credit idempotent
    Column("memo", Text, nullable=False, server_default=""),
    Column("created_ns", BigInteger, nullable=False),
)

ledger_entry = Table(
    "ledger_entry",
    metadata,
    _id(),
    _ref("transaction_id", "ledger_transaction.id", index=True),
    _ref("account_id", "ledger_account.id", index=True),
    Column("amount", BigInteger, nullable=False),  # KRW; the entries of a transaction sum to zero
)

access_grant = Table(
    "access_grant",
    metadata,
    _id(),
    _ref("org_id", "organisation.id", index=True),
    _ref("person_id", "person.id"),
    _ref("entitlement_id", "entitlement.id", index=True),
    Column("object_key", String(255), nullable=False),
    Column("purpose", String(32), nullable=False),
    _ref("permit_id", "permit.id", nullable=True),
    Column("issued_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
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
    Column("payload", Text, nullable=False),  # canonical JSON (RFC 8785) of the whole event
    Column("salt", String(64), nullable=False),
    Column("commitment", String(64), nullable=False),  # sha256(salt || payload), hex
    Index("ix_audit_event_org", "org", "at_ns"),
    Index("ix_audit_event_owner", "owner", "at_ns"),
    Index("ix_audit_event_tile", "tile", "at_ns"),
    Index("ix_audit_event_night", "action", "person", "at_ns", sqlite_where=NIGHT_ACCESS, postgresql_where=NIGHT_ACCESS),
)

# Where buyers asked for a price and nothing was on offer: cells of zoom 14 and months, never who (see `mapex.prices.demand`).
demand = Table(
    "demand",
    metadata,
    Column("cell", BigInteger, primary_key=True),
    Column("kind", String(16), primary_key=True),  # LayerKind, or any
    Column("month", String(7), primary_key=True),  # 2026-11, Korean time
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# The secret under which today's `demand_seen` is hashed; both are thrown away the next day.
demand_day = Table("demand_day", metadata, Column("day", String(10), primary_key=True), Column("secret", String(64), nullable=False))

demand_seen = Table("demand_seen", metadata, Column("token", String(64), primary_key=True), sqlite_with_rowid=False)

saved_area = Table(
    "saved_area",
    metadata,
    _id(),
    _ref("org_id", "organisation.id"),
    Column("name", String(120), nullable=False),
    Column("region", Text, nullable=False),  # GeoJSON geometry
    Column("area_m2", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("org_id", "name"),
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
