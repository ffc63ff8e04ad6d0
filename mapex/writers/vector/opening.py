"""The last look at a file that was written: it opens in the library that buyers use, with all features and the right system."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapex.errors import Unavailable
from mapex.writers.vector import styles

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def check(path: Path, count: int, crs: Any) -> None:
    """Open the file with geopandas, geometries only.

    Args:
        count: features that were written.
        crs: `pyproj.CRS` that they are in.
    Raises: Unavailable: `join.unreadable`: it holds another number of features, or states another system; it must not be used.
    """
    files = sorted(file for file in path.iterdir() if file.suffix in (".fgb", ".shp")) if path.is_dir() else [path]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values, which are not read here
        found = [frame for file in files for frame in _opened(file)]
    if (features := sum(map(len, found))) != count:
        raise _unreadable(path, f"it holds {features:,} features, and {count:,} were written")
    for frame in found:
        if len(frame) and not _is_in(frame, crs):
            raise _unreadable(path, f"it states the system {frame.crs.name if frame.crs else 'none'}, and {crs.name} was written")


def _opened(path: Path) -> Iterator[GeoDataFrame]:
    import geopandas

    if path.suffix == ".parquet":
        yield geopandas.read_parquet(path, columns=["geometry"])
        return
    for layer in geopandas.list_layers(path)["name"].tolist():
        if layer != styles.TABLE:
            yield geopandas.read_file(path, layer=layer, columns=[], use_arrow=True)


def _is_in(frame: GeoDataFrame, crs: Any) -> bool:
    """Whether it states a system that puts it where `crs` does: a .prj names systems otherwise than PROJ."""
    if frame.crs is None or frame.crs.equals(crs, ignore_axis_order=True):
        return frame.crs is not None
    from pyproj import Transformer

    x0, y0, x1, y1 = frame.total_bounds
    x, y = Transformer.from_crs(frame.crs, crs, always_xy=True).transform([x0, x1], [y0, y1])
    near = 1e-8 if crs.is_geographic else 1e-3
    return all(abs(one - other) < near for one, other in zip((*x, *y), (x0, x1, y0, y1), strict=True))


def _unreadable(path: Path, why: str) -> Unavailable:
    return Unavailable("join.unreadable", f"{path.name} was not kept: opened again, {why}. Try another format, and tell the operator.")
