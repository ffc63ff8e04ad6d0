"""What is bought: quotes, orders and their lines, entitlements, the ledger; what sellers get for it."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from mapex.database.tables.columns import id_column, metadata, ref

quote = Table(
    "quote",
    metadata,
    id_column(),
    ref("org_id", "organisation.id", index=True),
    ref("person_id", "person.id"),
    Column("purpose", String(32), nullable=False),
    Column("request", Text, nullable=False),  # canonical JSON: region, datasets, layers
    Column("body", Text, nullable=False),  # canonical JSON: lines, cells, subtotal, vat, total, pinned offers and layers
    Column("tiles_sha256", String(64), nullable=False),  # digest of the exact tile set
    Column("total", BigInteger, nullable=False),
    Column("signature", String(128), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False, index=True),
    Column("name", Text, nullable=False, server_default=""),  # what the buyer calls the area; a note of theirs, neither signed nor logged
)

order = Table(
    "purchase_order",
    metadata,
    id_column(),
    ref("org_id", "organisation.id", index=True),
    ref("person_id", "person.id"),
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
    ref("dataset_id", "dataset.id", index=True),
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
    Column("attribution", Text, nullable=False, server_default=""),
    Column("terms", String(64), nullable=False, server_default=""),  # digest; "" in orders from before it was noted
    Column("earlier", BigInteger, nullable=False, server_default="0"),  # KRW paid before that are credited: mapex.prices.earlier
    Column("updates", String(16), nullable=False, server_default="paid"),  # what newer versions of these tiles cost, see `offer`
    Column("free_tiles", Integer, nullable=False, server_default="0"),  # cells that cost nothing, of an earlier order with free updates
    Column("free_until_ns", BigInteger, nullable=False, server_default="0"),  # when `updates` are free no more; 0 = never were
)

# Who of the buyer's organisation may download an order; an order without a row is open to all of them.
order_person = Table(
    "order_person",
    metadata,
    Column("order_id", String(40), ForeignKey("purchase_order.id"), primary_key=True),
    Column("person_id", String(40), ForeignKey("person.id"), primary_key=True),
)

# A person without the right to pay asks those who have it.
approval = Table(
    "approval",
    metadata,
    id_column(),
    ref("org_id", "organisation.id"),
    ref("quote_id", "quote.id", index=True),  # that of now: a price that ran out is asked anew
    ref("asker_id", "person.id"),
    Column("note", Text, nullable=False),
    Column("persons", Text, nullable=False),  # JSON: e-mails of the named users whom the asker wishes
    Column("state", String(16), nullable=False),  # open | paid | refused | withdrawn
    Column("created_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
    ref("ender_id", "person.id", nullable=True),
    Column("reason", Text, nullable=False, server_default=""),
    Column("order_id", String(40), ForeignKey("purchase_order.id"), unique=True),
    Index("ix_approval_open", "org_id", "state"),
)

entitlement = Table(
    "entitlement",
    metadata,
    id_column(),
    ref("org_id", "organisation.id"),
    ref("order_id", "purchase_order.id"),
    ref("offer_id", "offer.id"),
    ref("dataset_id", "dataset.id"),
    ref("layer_id", "layer.id"),
    Column("layer_name", String(64), nullable=False),
    Column("cell", BigInteger, nullable=False),
    Column("part", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("purpose", String(32), nullable=False),
    ref("permit_id", "permit.id", nullable=True),
    Column("paid", Integer, nullable=False),  # 0: owned before with the same content, or a free update, so it cost nothing
    Column("state", String(16), nullable=False),  # active | suspended | recalled
    UniqueConstraint("order_id", "layer_id", "cell", "part"),
    Index("ix_entitlement_owned", "org_id", "dataset_id", "cell"),
)

# Tiles of which what was paid was credited to a later order of the same buyer, wider or newer; each can be once.
credited_tile = Table(
    "credited_tile",
    metadata,
    Column("entitlement_id", String(40), ForeignKey("entitlement.id"), primary_key=True),
    ref("order_id", "purchase_order.id", index=True),
)

ledger_account = Table(
    "ledger_account",
    metadata,
    id_column(),
    Column("kind", String(16), nullable=False),  # wallet | receivable | vat | fee | bank
    ref("org_id", "organisation.id", nullable=True, index=True),
    Column("balance", BigInteger, nullable=False, server_default="0"),  # cached sum of the entries
    CheckConstraint("kind <> 'wallet' OR balance >= 0", name="wallet_not_negative"),
    UniqueConstraint("kind", "org_id"),
)

ledger_transaction = Table(
    "ledger_transaction",
    metadata,
    id_column(),
    Column("kind", String(16), nullable=False),  # credit | order | refund | settlement | payout | vat_paid | fee_drawn
    ref("order_id", "purchase_order.id", nullable=True),
    Column("key", String(255), unique=True),  # makes a payment in or out idempotent
    Column("memo", Text, nullable=False, server_default=""),
    Column("created_ns", BigInteger, nullable=False),
)

ledger_entry = Table(
    "ledger_entry",
    metadata,
    id_column(),
    ref("transaction_id", "ledger_transaction.id", index=True),
    ref("account_id", "ledger_account.id", index=True),
    Column("amount", BigInteger, nullable=False),  # KRW; the entries of a transaction sum to zero
)

# What one seller sold in one order, before VAT, and the operator's fee of it by the percentage that held then.
sale = Table(
    "sale",
    metadata,
    id_column(),
    ref("order_id", "purchase_order.id"),
    ref("org_id", "organisation.id", index=True),
    Column("amount", BigInteger, nullable=False),
    Column("fee_rate", Integer, nullable=False),  # hundredths of a percent
    Column("fee", BigInteger, nullable=False),
    UniqueConstraint("order_id", "org_id"),
)

# What was returned of an order when a version was recalled: `amount` without VAT; `fee` is what the exchange gave of it.
refund = Table(
    "refund",
    metadata,
    id_column(),
    ref("order_id", "purchase_order.id"),
    ref("version_id", "dataset_version.id", index=True),
    ref("org_id", "organisation.id", index=True),  # the seller
    ref("transaction_id", "ledger_transaction.id"),
    Column("amount", BigInteger, nullable=False),
    Column("vat", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("order_id", "version_id"),
)

# What the exchange bought from one seller in a Korean month: supply = sales - refunds - fee, and the VAT on it.
settlement = Table(
    "settlement",
    metadata,
    id_column(),
    ref("org_id", "organisation.id"),
    Column("month", String(7), nullable=False, index=True),  # 2026-11
    Column("sales", BigInteger, nullable=False),
    Column("refunds", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),  # less what was returned of it
    Column("vat", BigInteger, nullable=False),
    ref("transaction_id", "ledger_transaction.id", nullable=True),  # null: no VAT was moved
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("org_id", "month"),
)

# Which sales and refunds a settlement covers; each is covered once, for all time.
settled_sale = Table(
    "settled_sale",
    metadata,
    Column("sale_id", String(40), ForeignKey("sale.id"), primary_key=True),
    ref("settlement_id", "settlement.id", index=True),
)

settled_refund = Table(
    "settled_refund",
    metadata,
    Column("refund_id", String(40), ForeignKey("refund.id"), primary_key=True),
    ref("settlement_id", "settlement.id", index=True),
)

# What was transferred to a seller for a settlement: its total, or less where the seller had spent some of it.
payout = Table(
    "payout",
    metadata,
    Column("settlement_id", String(40), ForeignKey("settlement.id"), primary_key=True),
    ref("transaction_id", "ledger_transaction.id"),
    Column("amount", BigInteger, nullable=False),
    Column("reference", String(255), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)
