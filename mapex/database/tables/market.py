"""What is on sale: offers, the pyramid of sums over their layers, what the map shows, saved areas and unmet demand."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, false

from mapex.database.tables.columns import id_column, metadata, quantities, ref

offer = Table(
    "offer",
    metadata,
    id_column(),
    ref("org_id", "organisation.id", index=True),
    ref("dataset_id", "dataset.id", index=True),
    ref("version_id", "dataset_version.id", index=True),
    Column("state", String(16), nullable=False),  # live | replaced | withdrawn
    Column("licence", String(32), nullable=False),
    Column("attribution", Text, nullable=False, server_default=""),
    Column("rate_card", Text, nullable=False),  # JSON {unit: integer KRW}
    Column("credits_earlier", Boolean, nullable=False, server_default=false()),  # takes off what was paid for narrower uses
    Column("updates", String(16), nullable=False, server_default="paid"),  # what newer versions cost: mapex.rules.update_policy
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
    *quantities(),
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

# The same pyramid of what each buyer owns already with the content that is on offer now, by the purpose that is wanted and under the
# licence of the live offer or a wider one (`mapex.rules.terms`): what an estimate takes off the sums above. Purpose "" = any.
# Kept by `orders.place` and `offers.publish`; a row of z16 exists for every cell of which at least one part is owned.
owned_sum = Table(
    "owned_sum",
    metadata,
    Column("org_id", String(40), ForeignKey("organisation.id"), primary_key=True),
    Column("purpose", String(32), primary_key=True),
    Column("z", Integer, primary_key=True),
    Column("cell", BigInteger, primary_key=True),
    Column("layer_id", String(40), ForeignKey("layer.id"), primary_key=True),
    Column("cells", Integer, nullable=False),  # cells of which every part is owned
    *quantities(),
    Index("ix_owned_sum_layer_id", "layer_id"),
    sqlite_with_rowid=False,
)

saved_area = Table(
    "saved_area",
    metadata,
    id_column(),
    ref("org_id", "organisation.id"),
    Column("name", String(120), nullable=False),
    Column("region", Text, nullable=False),  # GeoJSON geometry
    Column("area_m2", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("org_id", "name"),
)

# Where buyers asked for a price and nothing was on offer: cells of zoom 14 and months, never who (see `mapex.prices.demand`).
demand = Table(
    "demand",
    metadata,
    Column("cell", BigInteger, primary_key=True),
    Column("kind", String(16), primary_key=True),  # LayerKind, or any
    Column("month", String(7), primary_key=True),  # 2026-11, Korean time
    Column("count", Integer, nullable=False),  # of it `firms` are organisations, each once; the rest is what versions before 0013 counted
    Column("firms", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

# The secret under which this month's `demand_seen` is hashed; both are thrown away the next month. `day` holds the month.
demand_day = Table("demand_day", metadata, Column("day", String(10), primary_key=True), Column("secret", String(64), nullable=False))

demand_seen = Table("demand_seen", metadata, Column("token", String(64), primary_key=True), sqlite_with_rowid=False)
