"""`mapex join`: the vector tiles of a download as one file for GIS tools, each feature once."""

from __future__ import annotations

from pathlib import Path

import click

from mapex.cli.options import as_json_option
from mapex.cli.output import show, size
from mapex.client.bar import bar
from mapex.errors import Conflict, Invalid


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write: .gpkg, .geojson or .parquet.")
@click.option("--crs", default="EPSG:4326", show_default=True, metavar="EPSG:N", help="Coordinate reference system of the file.")
@as_json_option
def join(folder: Path, out: Path, crs: str, as_json: bool) -> None:
    """Join the vector tiles in DIR (from `mapex get` or `mapex tile`) to one file: each feature whole and once, attributes as columns.

    A GeoPackage gets one layer for each kind (lane_area, sidewalk, ...). What the source holds beside attributes is the column `source`.
    """
    from mapex.writers.features import owned_features
    from mapex.writers.formats import writer_for

    writer = writer_for(out)
    if out.exists():
        raise Conflict("join.exists", f"{out} exists already; it was left alone.")
    paths = sorted(folder.rglob("*.parquet"))
    if not paths:
        raise Invalid("join.no_tiles", f"{folder} holds no vector tiles (*.parquet).")
    with bar("Joining") as progress:
        features = owned_features(paths, progress.update)
        moved = features if crs.upper() == "EPSG:4326" else features.to_crs(crs)
        fresh = out.with_name(f".{out.stem}.part{out.suffix.lower()}")
        fresh.unlink(missing_ok=True)
        try:
            layers = writer.write(moved, fresh, out.stem)
            fresh.replace(out)
        finally:
            fresh.unlink(missing_ok=True)
    count = out.stat().st_size
    text = f"{out}: {len(features):,} features of {len(paths)} tiles in {len(layers)} layers, {size(count)}"
    record = {"file": str(out), "features": len(features), "layers": layers, "tiles": len(paths), "bytes": count}
    show(record, as_json=as_json, text=text)
