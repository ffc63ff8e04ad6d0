"""GeoParquet: one table of all features."""

from __future__ import annotations

from pathlib import Path

from mapex.writers.features import Features


def write(features: Features, path: Path, name: str) -> list[str]:
    """See `mapex.writers.formats.Writer`."""
    features.to_parquet(path)
    return [name]
