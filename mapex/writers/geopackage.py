"""GeoPackage: one layer for each kind of feature (lane_area, sidewalk, ...), with the columns that the kind has."""

from __future__ import annotations

from pathlib import Path

from mapex.writers.features import Features


def write(features: Features, path: Path, name: str) -> list[str]:
    """See `mapex.writers.formats.Writer`."""
    del name  # the layers are called after the kinds
    kinds: list[str] = sorted(features["kind"].unique())
    for kind in kinds:
        rows = features[features["kind"] == kind]
        rows.dropna(axis="columns", how="all").to_file(path, driver="GPKG", layer=kind)
    return kinds
