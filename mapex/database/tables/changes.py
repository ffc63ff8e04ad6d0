"""What a version changes, feature by feature: by layer, by cell, and which tiles of older versions are the same by the stated accuracy."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, UniqueConstraint

from mapex.database.tables.columns import metadata, ref

layer_change = Table(
    "layer_change",
    metadata,
    Column("layer_id", String(40), primary_key=True),  # of the newer version
    ref("against_id", "layer.id"),  # the layer of the same name in the version that was published last when it was read
    Column("counts", Text, nullable=False),  # JSON: see mapex.catalogue.comparison
)

tile_change = Table(
    "tile_change",
    metadata,
    ref("layer_id", "layer.id"),
    Column("cell", BigInteger, nullable=False),  # its contents differ, or only one of the two versions has it
    Column("others", Integer, nullable=False),  # 1: something in it was added, removed or has other attributes
    Column("shift_um", BigInteger, nullable=False),  # how far the features in it moved at most
    Column("counts", Text, nullable=False),  # JSON: of the features that it owns
    UniqueConstraint("layer_id", "cell"),
)

# Derived of `tile_change` and `layer.accuracy_mm` when a version is published; `mapex fsck` derives it again.
same_tile = Table(
    "same_tile",
    metadata,
    ref("layer_id", "layer.id"),  # of the version that was published
    Column("cell", BigInteger, nullable=False),
    ref("held_id", "layer.id"),  # of an older version: who has the cell from it has nothing older than what is on sale now
    UniqueConstraint("layer_id", "cell", "held_id"),
)
