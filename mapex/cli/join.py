"""`mapex join`: the vector tiles of a download as one file for GIS tools, each feature once."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mapex.cli.options import as_json_option
from mapex.cli.output import counted, show, size
from mapex.client.bar import bar
from mapex.errors import Conflict, Invalid, Unavailable

if TYPE_CHECKING:
    from mapex.writers.changes import Changes
    from mapex.writers.features import Features
    from mapex.writers.formats import Writer


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write: .gpkg, .geojson or .parquet.")
@click.option("--crs", default="EPSG:4326", show_default=True, metavar="EPSG:N", help="Coordinate reference system of the file.")
@click.option("--overwrite", is_flag=True, help="Replace the file when it exists.")
@as_json_option
def join(folder: Path, out: Path, crs: str, overwrite: bool, as_json: bool) -> None:
    """Join the vector tiles in DIR (from `mapex get` or `mapex tile`) to one file: each feature whole and once, attributes as columns.

    A GeoPackage gets one layer for each kind (lane_area, sidewalk, ...). What the source holds beside attributes is the column `source`.
    Values keep their types; a name or value that the format cannot hold is changed, and the change is reported.
    """
    from mapex.writers.changes import Changes
    from mapex.writers.features import features_of
    from mapex.writers.formats import writer_for
    from mapex.writers.moving import moving_to

    writer, moving = writer_for(out), moving_to(crs)
    if out.exists() and not overwrite:
        raise Conflict("join.exists", f"{out} exists already; it was left alone. Give another name, or --overwrite.")
    paths, others = _tiles(folder, out)
    left = dict(sorted(Counter(path.suffix or path.name for path in others).items()))
    if not paths:
        raise Invalid("join.no_tiles", f"{folder} holds no vector tiles (*.parquet)" + (f", only {_listed(left)}." if left else "."))
    changes = Changes(writer.FORMAT)
    with bar("Joining") as progress:
        features = features_of(paths, moving, progress.update)
        layers = _write(writer, features, out, changes)
    count = out.stat().st_size
    text = f"{out}: {features.count:,} features of {counted(len(paths), 'tile')} in {counted(len(layers), 'layer')}, {size(count)}"
    lines = [text, *changes.lines()]
    if features.guests:
        lines.append(f"Of them, {counted(features.guests, 'feature')} begin outside of these tiles.")
    if left:
        lines.append(f"Not joined: {_listed(left)}.")
    record = {"file": str(out), "features": features.count, "layers": layers, "tiles": len(paths), "bytes": count}
    notes = {"guests": features.guests, "changes": changes.as_json(), "not_joined": left}
    show({**record, **notes}, as_json=as_json, text="\n".join(lines))


def _write(writer: Writer, features: Features, out: Path, changes: Changes) -> list[str]:
    """Write the file; it has its name only when all of it is on the disk.

    Raises: Unavailable: `join.write`, `join.unreadable`.
    """
    from mapex.writers.opening import check

    try:
        with tempfile.TemporaryDirectory(prefix=".mapex-", dir=out.absolute().parent) as work:
            fresh = Path(work) / f"map{out.suffix.lower()}"
            layers = writer.write(features, fresh, out.stem, changes)
            check(fresh, features.count, features.moving.crs)
            with fresh.open("rb+") as file:
                os.fsync(file.fileno())
            fresh.replace(out)
    except OSError as error:
        text = f"{out} could not be written: {error.strerror or error}. Make room, or choose another folder."
        raise Unavailable("join.write", text) from error
    return layers


def _tiles(folder: Path, out: Path) -> tuple[list[Path], list[Path]]:
    """The vector tiles in a folder, and its other files; manifests, the texts beside them and the file to be written are neither."""
    from mapex.client import enclosures
    from mapex.writers.features import is_tile
    from tiles.formats import MANIFEST, OLD_MANIFEST

    beside = {folder / name for name in enclosures.written(folder)}
    tiles: list[Path] = []
    others: list[Path] = []
    for path in sorted(_files(folder)):
        if path.absolute() != out.absolute() and path not in beside and path.name not in (MANIFEST, OLD_MANIFEST):
            (tiles if path.suffix == ".parquet" and is_tile(path) else others).append(path)
    return tiles, others


def _files(folder: Path) -> Iterator[Path]:
    """All files that are not hidden: hidden are those of a run that was cut off."""
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _listed(left: dict[str, int]) -> str:
    """How many files of each ending are no vector tiles, in words."""
    from tiles.formats import FORMATS

    words = {f".{row.ending}": ", ".join(map(str, row.kinds)) for row in FORMATS}
    return ", ".join(f"{counted(n, 'file')} {ending}" + (f" ({words[ending]})" if ending in words else "") for ending, n in left.items())
