"""`mapex join`: the vector tiles of a download as one file for GIS tools, each feature once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mapex.cli.options import as_json_option
from mapex.cli.output import show, size
from mapex.client.bar import bar
from mapex.errors import Conflict, Invalid

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".parquet": "Parquet"}
"""FlatGeobuf is left out: it cannot hold 2D and 3D features beside each other, and maps have both."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write: .gpkg, .geojson or .parquet.")
@click.option("--crs", default="EPSG:4326", show_default=True, metavar="EPSG:N", help="Coordinate reference system of the file.")
@as_json_option
def join(folder: Path, out: Path, crs: str, as_json: bool) -> None:
    """Join the vector tiles in DIR (from `mapex get` or `mapex tile`) to one file: each feature whole and once, attributes as columns.

    A GeoPackage gets one layer for each kind (lane_area, sidewalk, ...). What the source holds beside attributes is the column `source`.
    """
    suffix = out.suffix.lower()
    if suffix not in DRIVERS:
        raise Invalid("join.format", f"{out.name}: the name must end in one of {', '.join(DRIVERS)}.")
    if out.exists():
        raise Conflict("join.exists", f"{out} exists already; it was left alone.")
    paths = sorted(folder.rglob("*.parquet"))
    if not paths:
        raise Invalid("join.no_tiles", f"{folder} holds no vector tiles (*.parquet).")
    with bar("Joining") as progress:
        frame = owned_features(paths, progress.update)
        moved = frame if crs.upper() == "EPSG:4326" else frame.to_crs(crs)
        fresh = out.with_name(f".{out.stem}.part{suffix}")
        fresh.unlink(missing_ok=True)
        try:
            layers = _write(moved, fresh, suffix, out.stem)
            fresh.replace(out)
        finally:
            fresh.unlink(missing_ok=True)
    count = out.stat().st_size
    text = f"{out}: {len(frame):,} features of {len(paths)} tiles in {len(layers)} layers, {size(count)}"
    record = {"file": str(out), "features": len(frame), "layers": layers, "tiles": len(paths), "bytes": count}
    show(record, as_json=as_json, text=text)


def owned_features(paths: list[Path], progress: Any) -> Any:
    """The features that the tiles own, as a GeoDataFrame in EPSG:4326 (lon, lat): `feature_id`, `kind`, attributes, `source`, geometry.

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
    attributes.columns = [f"attribute_{c}" if c in ("feature_id", "kind", "geometry", "source", "fid") else c for c in attributes.columns]
    source = attributes.pop("@source") if "@source" in attributes else None
    return whole.drop(columns="properties").join(attributes).assign(source=source)


def _attributes(texts: Any) -> Iterator[dict[str, Any]]:
    """Properties as flat values: lists and objects stay JSON text, so that every format can hold them."""
    for text in texts:
        yield {k: json.dumps(v, ensure_ascii=False) if isinstance(v, dict | list) else v for k, v in json.loads(text).items()}


def _write(frame: Any, path: Path, suffix: str, name: str) -> list[str]:
    if suffix == ".parquet":
        frame.to_parquet(path)
        return [name]
    if suffix == ".geojson":
        frame.to_file(path, driver=DRIVERS[suffix], layer=name)
        return [name]
    kinds = sorted(frame["kind"].unique())
    for kind in kinds:
        part = frame[frame["kind"] == kind]
        part.dropna(axis="columns", how="all").to_file(path, driver=DRIVERS[suffix], layer=kind)
    return kinds
