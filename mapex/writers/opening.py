"""The last look at a file that was written: it opens in the library that buyers use, with all features and the right system."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapex.errors import Unavailable

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def check(path: Path, count: int, crs: Any) -> None:
    """Open the file with geopandas, geometries only.

    Args:
        count: features that were written.
        crs: `pyproj.CRS` that they are in.
    Raises: Unavailable: `join.unreadable`: it holds another number of features, or states another system; it must not be used.
    """
    import geopandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values, which are not read here
        layers = [None] if path.suffix == ".parquet" else geopandas.list_layers(path)["name"].tolist()
        found = [_opened(path, layer) for layer in layers]
    if (features := sum(map(len, found))) != count:
        raise _unreadable(path, f"it holds {features:,} features, and {count:,} were written")
    for frame in found:
        if len(frame) and (frame.crs is None or not frame.crs.equals(crs, ignore_axis_order=True)):
            raise _unreadable(path, f"it states the system {frame.crs.name if frame.crs else 'none'}, and {crs.name} was written")


def _opened(path: Path, layer: str | None) -> GeoDataFrame:
    import geopandas

    if layer is None:
        return geopandas.read_parquet(path, columns=["geometry"])
    return geopandas.read_file(path, layer=layer, columns=[], use_arrow=True)


def _unreadable(path: Path, why: str) -> Unavailable:
    return Unavailable("join.unreadable", f"{path.name} was not kept: opened again, {why}. Try another format, and tell the operator.")
