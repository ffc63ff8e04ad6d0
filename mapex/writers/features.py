"""The features of vector tiles, each whole and once: what a writer gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Features = Any
"""A GeoDataFrame: `feature_id`, `kind`, attributes, `source`, and the geometry, x (east, longitude) first. (geopandas has no types.)"""

_OWN_COLUMNS = ("feature_id", "kind", "geometry", "source", "fid")


def owned_features(paths: Sequence[Path], progress: Callable[[float, float], None]) -> Features:
    """The features that the tiles own, in EPSG:4326 (lon, lat); `progress` is called with the tiles read and all tiles.

    An attribute named like one of our columns gets the prefix `attribute_`.
    """
    import geopandas as gpd
    import pandas as pd

    frames = []
    for number, path in enumerate(paths):
        tile = gpd.read_parquet(path)
        frames.append(tile.loc[tile["owner"], ["feature_id", "kind", "properties", "geometry"]])
        progress(number + 1, len(paths))
    whole = gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), geometry="geometry", crs="EPSG:4326")
    attributes = pd.DataFrame(list(_attributes(whole["properties"])), index=whole.index)
    attributes.columns = [f"attribute_{c}" if c in _OWN_COLUMNS else c for c in attributes.columns]
    source = attributes.pop("@source") if "@source" in attributes else None
    return whole.drop(columns="properties").join(attributes).assign(source=source)


def _attributes(texts: Any) -> Iterator[dict[str, Any]]:
    """Properties as flat values: lists and objects stay JSON text, so that every format can hold them."""
    for text in texts:
        yield {k: json.dumps(v, ensure_ascii=False) if isinstance(v, dict | list) else v for k, v in json.loads(text).items()}
