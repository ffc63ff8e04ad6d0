"""Files of the buyer's own format: join (tiles that are there), convert (a file, without an exchange), and what `get --format` writes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mapex.cli.options import Output, as_json_option, with_output, with_placement
from mapex.cli.output import counted, findings_text, show, size
from mapex.client.bar import bar
from mapex.writers.formats import NAMES
from mapex.writers.target import DATUMS, UNKNOWN

if TYPE_CHECKING:
    from mapex.writers.delivery import TileFiles, Written
    from mapex.writers.formats import WrittenFormat

_OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace the file when it exists.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="File to write; a folder for flatgeobuf, shapefile and autoware."
)
@with_output
@_OVERWRITE
@as_json_option
def join(folder: Path, out: Path, wanted: Output, overwrite: bool, as_json: bool) -> None:
    """Join the tiles in DIR (from `mapex get` or `mapex tile`) to one file: each feature whole and once, each point once.

    Without --format the ending of the file decides: .gpkg, .geojson, .parquet, .laz, .copc.laz, .pcd, .ply. A GeoPackage gets one layer for
    each kind (lane_area, sidewalk, ...), with attributes as columns; what the source holds beside them is the column `source`. Values keep
    their types; what a format cannot hold is changed or left out, and named with count and features.
    """
    row = wanted.format_of(out)
    found = _found(folder, out)
    report, text = _written(row, found, out, wanted, str(folder), replaces=overwrite)
    show(report, as_json=as_json, text=text)


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True), metavar="IN")
@click.argument("out", type=click.Path(path_type=Path), metavar="OUT")
@with_placement
@click.option("--format", "name", type=click.Choice(NAMES), metavar="F", help=f"Format of OUT: {', '.join(NAMES)}. Default: by its ending.")
@click.option("--to-crs", metavar="EPSG:N", help="Coordinate reference system of OUT. Default: that of the tiles of IN.")
@click.option("--to-heights", metavar="NAME", help=f"Above what heights of OUT count: {', '.join(DATUMS)}. Default: as in IN.")
@_OVERWRITE
@as_json_option
def convert(
    source: Path,
    out: Path,
    placed: dict[str, Any],
    name: str | None,
    to_crs: str | None,
    to_heights: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Read IN as the exchange would, in its cage, and write it as OUT, without an exchange.

    Formats and endings are those of `join`. Where IN is, is given as for `tile`; what OUT is to be in, by --to-crs and --to-heights.
    """
    from ingest.conversion.local import tile_file
    from mapex.intake.placement import Placement

    wanted = Output((name,) if name else (), to_crs, to_heights)
    row = wanted.format_of(out)
    wanted.target()  # what cannot be had is refused before anything is read
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mapex-", dir=out.absolute().parent) as work:
        tiles = Path(work)
        with bar(f"Reading {source.name}") as progress:
            read = tile_file(source, tiles, Placement.from_json(placed), progress=progress.update, recount=True)
        report, text = _written(row, _found(tiles, out), out, wanted, source.name, replaces=overwrite)
    counts = {name: sum(layer["counts"][name] for layer in read["layers"]) for name in ("read", "placed", "unplaced", "rejected")}
    lines = [text, "counts " + ", ".join(f"{counts[name]:,} {name}" for name in counts), findings_text(read["findings"])]
    show({**report, "counts": counts, "findings": read["findings"]}, as_json=as_json, text="\n".join(lines).rstrip())


def deliver(folder: Path, wanted: Output) -> tuple[list[dict[str, Any]], list[str]]:
    """Write the tiles that the manifest of a folder lists in the formats that are wanted, a file for each dataset, or each of its clouds.

    Returns: what the manifest says of each, and lines for people.
    Raises: Invalid: `join.no_tiles`, and what `mapex.writers.delivery.write` raises.
    """
    from mapex.client import manifest
    from mapex.writers import delivery

    ours = set(manifest.written_before(folder))
    found = delivery.found_in([folder / path for path in manifest.paths(folder)])
    written: list[Written] = []
    for row in wanted.formats():
        if not found.of(row):
            raise delivery.no_tiles(row, str(folder), found.left(row))
    for row in wanted.formats():
        for name, tiles in _groups(folder, found.of(row), row):
            out = folder / (f"{name}{row.ending}" if row.ending else f"{name}-{row.name}")
            with bar(f"Writing {out.name}") as progress:
                replaces = out.name in ours
                some = delivery.write(row, tiles, out, wanted.target(), progress.update, replaces=replaces)
            manifest.add_written(folder, [_record(one) for one in some])
            written += some
    return [_record(one) for one in written], [line for one in written for line in _lines(one)]


def _record(one: Written) -> dict[str, Any]:
    """What the manifest of its folder says of a file."""
    return {**one.as_json(), "file": one.path.name}


def _groups(folder: Path, tiles: Sequence[Path], row: WrittenFormat) -> Iterator[tuple[str, list[Path]]]:
    """Tiles by the name of their file: `<dataset>/<layer>/<tile>` is of the map of a dataset, or of a cloud of its own."""
    groups: dict[str, list[Path]] = {}
    for tile in tiles:
        parts = tile.relative_to(folder).parts
        groups.setdefault("-".join(parts[: 2 if row.is_cloud else 1]), []).append(tile)
    yield from sorted(groups.items())


def _written(row: WrittenFormat, found: TileFiles, out: Path, wanted: Output, where: str, *, replaces: bool) -> tuple[dict[str, Any], str]:
    """Write what was found as one file, and say so."""
    from mapex.writers import delivery

    tiles, left = found.of(row), found.left(row)
    if not tiles:
        raise delivery.no_tiles(row, where, left)
    with bar(f"Writing {out.name}") as progress:
        first, *more = delivery.write(row, tiles, out, wanted.target(), progress.update, replaces=replaces)
    lines = [line for one in (first, *more) for line in _lines(one)]
    if left:
        lines.append(f"Not joined: {delivery.listed(left)}.")
    record = {**first.as_json(), **({"more": [one.as_json() for one in more]} if more else {}), "not_joined": left}
    return record, "\n".join(lines)


def _lines(one: Written) -> Iterator[str]:
    layers = f" in {counted(len(one.layers), 'layer')}" if one.layers else ""
    yield f"{one.path}: {one.count:,} {one.unit} of {counted(one.tiles, 'tile')}{layers}, {size(one.size)}"
    heights = ("as the seller gave them, above what is not stated" if name == UNKNOWN else f"above {name}" for name in one.heights)
    yield f"In {one.crs}; heights {', or '.join(heights)}."
    yield from one.changes.lines()
    if one.guests:
        yield f"Of them, {counted(one.guests, 'feature')} begin outside of these tiles."


def _found(folder: Path, out: Path) -> TileFiles:
    """The tiles in a folder, and its other files; manifests, what stands beside them and the file to be written are neither."""
    from mapex.client import enclosures, manifest
    from mapex.writers.delivery import found_in
    from tiles.formats import MANIFEST, OLD_MANIFEST

    beside = {folder / name for name in (*enclosures.written(folder), *manifest.written_before(folder), MANIFEST, OLD_MANIFEST)}
    paths = [path for path in sorted(_files(folder)) if not beside & {path, *path.parents} and path.name not in (MANIFEST, OLD_MANIFEST)]
    return found_in([path for path in paths if out.absolute() not in (path.absolute(), *path.absolute().parents)])


def _files(folder: Path) -> Iterator[Path]:
    """All files that are not hidden: hidden are those of a run that was cut off."""
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path
