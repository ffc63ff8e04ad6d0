"""What commands have in common on their way in: options that several of them take, what these mean, and the open exchange."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mapex.errors import Invalid
from mapex.writers.formats import NAMES, WrittenFormat, format_named, format_of
from mapex.writers.target import DATUMS, Target, target_of
from tiles import plain_json
from tiles.box import Box

if TYPE_CHECKING:
    from mapex.exchange import Exchange

METRES_A_DEGREE = 111_320

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def the_exchange() -> Iterator[Exchange]:
    """The exchange that MAPEX_DIR and MAPEX_* describe, open for the block."""
    from mapex import config, modes
    from mapex.cli.server import surroundings
    from mapex.database.opening import open_exchange

    settings = config.load()
    surroundings.check(settings)
    with modes.only_ours():
        ex = open_exchange(settings)
        try:
            yield ex
        finally:
            ex.engine.dispose()


_REGION = (
    click.option("--region", "region", metavar="FILE", help="GeoJSON file of the area (WGS 84); - reads standard input."),
    click.option("--bbox", metavar="W,S,E,N", help="A box in degrees, instead of --region."),
    click.option(
        "--simplify", type=click.FloatRange(min=0), metavar="METRES", help="Simplify the outline first; it moves by at most so far."
    ),
    click.option("--layers", metavar="A,B", help="Only these layers, by name or kind."),
)


_PLACEMENT = (
    click.option("--crs", metavar="EPSG:N", help="Coordinate reference system, when the file names none."),
    click.option("--origin", metavar="LON,LAT[,H]", help="Where the local zero point is, for data in a sensor's or site's own frame."),
    click.option("--height-datum", metavar="NAME", help="What heights count from: ellipsoid, KVD1964, EGM2008, ..."),
    click.option(
        "--map",
        "columns",
        multiple=True,
        metavar="WHAT=COLUMN,...",
        help="Which columns of a CSV are what: lon, lat (degrees), x, y (metres), wkt, h, id, kind. Several: wkt=A|B.",
    ),
)


@dataclass(frozen=True, slots=True)
class Where:
    """The area and the layers that the options name, as they were typed."""

    region: str | None
    bbox: str | None
    simplify: float | None
    layers: str | None

    @property
    def is_given(self) -> bool:
        """Whether an area or layers were named at all."""
        return bool(self.region or self.bbox or self.layers)

    def as_json(self) -> dict[str, Any]:
        """The body of a request: `region` (GeoJSON) and, if some were named, `layers`.

        Raises: Invalid (`cli.region`, `cli.region_json`, `cli.bbox`).
        """
        area = read_region(self.region, self.bbox)
        body: dict[str, Any] = {"region": simplified(area, self.simplify) if self.simplify else area}
        if self.layers:
            body["layers"] = list(words(self.layers))
        return body


def with_region(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the options of a region; it takes them as one argument, `where`."""

    @wraps(command)
    def run(region: str | None, bbox: str | None, simplify: float | None, layers: str | None, **rest: Any) -> Any:
        return command(where=Where(region, bbox, simplify, layers), **rest)

    return _with_options(run, _REGION)


_FILTERS = (
    click.option("--kind", help="Only this kind of data: hdmap, sidewalk, pointcloud, recording, photos."),
    click.option("--class", "handling_class", help="Only with a layer of this handling class."),
    click.option("--licence", help="Only under this licence."),
    click.option("--purpose", help="Only what its licence allows for this purpose."),
    click.option("--place", help="Only what is there, by the name of a place."),
    click.option("--unit", help="Only what is charged by this unit."),
    click.option("--seller", metavar="FIRM", help="Only of this seller."),
    click.option("--fresh", type=click.IntRange(1), metavar="DAYS", help="Only what was seen within so many days."),
    click.option("--sort", help="best, newest, freshest, quality, title or tiles."),
    click.option("--page", type=click.IntRange(1), help="Which page of what was found."),
)


def with_filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the filters of the catalogue; it takes those that were given as one argument, `wanted`, as the API does."""
    names = ("kind", "handling_class", "licence", "purpose", "place", "unit", "seller", "fresh", "sort", "page")

    @wraps(command)
    def run(**rest: Any) -> Any:
        given = {"class" if name == "handling_class" else name: value for name in names if (value := rest.pop(name)) is not None}
        return command(wanted=given, **rest)

    return _with_options(run, _FILTERS)


def with_placement(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the options of a placement; it takes them as one argument, `placed`, as the API does.

    Raises: Invalid: `cli.origin`, `cli.map`.
    """

    @wraps(command)
    def run(crs: str | None, origin: str | None, height_datum: str | None, columns: tuple[str, ...], **rest: Any) -> Any:
        return command(placed=placement(crs, origin, height_datum, columns), **rest)

    return _with_options(run, _PLACEMENT)


def _with_options(command: Callable[..., Any], options: Sequence[Callable[[Any], Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def read_region(region: str | None, bbox: str | None) -> dict[str, Any]:
    """The area as GeoJSON. Raises Invalid when neither or both are given, or when the file is no JSON."""
    if (region is None) == (bbox is None):
        raise Invalid("cli.region", "Name the area: either --region FILE (GeoJSON) or --bbox W,S,E,N.")
    if bbox is not None:
        w, s, e, n = box_of(bbox)
        return {"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]}
    assert region is not None
    text = sys.stdin.read() if region == "-" else Path(region).read_text(encoding="utf-8-sig")
    try:
        value = plain_json.loads(text)
    except ValueError as error:
        raise Invalid("cli.region_json", f"{region} is not JSON ({error}). Give a GeoJSON file in WGS 84 longitude, latitude.") from error
    if not isinstance(value, dict):
        raise Invalid("cli.region_json", f"{region} is JSON but no GeoJSON object. Give a geometry, Feature or FeatureCollection.")
    return value


def box_of(bbox: str) -> Box:
    """The box W,S,E,N. Raises Invalid when it is not four numbers."""
    try:
        return Box.from_text(bbox)
    except ValueError as error:
        raise Invalid("cli.bbox", f"`--bbox {bbox}` is not four numbers W,S,E,N in degrees.") from error


def simplified(area: dict[str, Any], metres: float) -> dict[str, Any]:
    """The area with as few vertices as stay within `metres` of its outline."""
    import shapely

    whole = shapely.from_geojson(json.dumps(area))
    plain: dict[str, Any] = json.loads(shapely.to_geojson(shapely.simplify(whole, metres / METRES_A_DEGREE)))
    return plain


def placement(crs: str | None, origin: str | None, height_datum: str | None, columns: Sequence[str] = ()) -> dict[str, Any]:
    """The placement that the options describe, as the API takes it. Raises Invalid on a malformed origin or `--map`."""
    placed: dict[str, Any] = {}
    if crs:
        placed["crs"] = crs
    if origin:
        try:
            numbers = [float(v) for v in origin.split(",")]
        except ValueError as error:
            raise Invalid("cli.origin", f"`--origin {origin}` is not LON,LAT or LON,LAT,H in degrees and metres.") from error
        if len(numbers) not in (2, 3):
            raise Invalid("cli.origin", f"`--origin {origin}` has {len(numbers)} numbers; give LON,LAT or LON,LAT,H.")
        placed["origin"] = numbers
    if height_datum:
        placed["height_datum"] = height_datum
    if columns:
        placed["columns"] = dict(pair for one in columns for pair in _columns(one))
    return placed


def _columns(text: str) -> Iterator[tuple[str, str]]:
    """`lon=경도,lat=위도` as pairs; a comma parts two only where a word of a column follows, since names may hold some."""
    from mapex.intake.placement import COLUMNS

    for part in re.split(rf",(?=\s*(?:{'|'.join(COLUMNS)})\s*=)", text):
        key, equals, name = part.partition("=")
        if not equals or key.strip() not in COLUMNS or not name.strip():
            raise Invalid("cli.map", f"`--map {part}` is not WHAT=COLUMN, where WHAT is one of {', '.join(COLUMNS)}.")
        yield key.strip(), name.strip()


def words(text: str) -> tuple[str, ...]:
    """`A,B` as its words."""
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


def pairs(values: tuple[str, ...], option: str) -> Iterator[tuple[str, str]]:
    """`NAME=VALUE` options as pairs. Raises Invalid naming the one that is not of that form."""
    for value in values:
        name, equals, rest = value.partition("=")
        if not equals or not name or not rest:
            raise Invalid("cli.pair", f"`{option} {value}` is not NAME=VALUE.")
        yield name.strip(), rest.strip()


_CHOICE_OPTIONS = (
    click.option("--dataset", help="Leave out all other datasets (SLUG or FIRM/SLUG)."),
    click.option(
        "--offer",
        "offers",
        multiple=True,
        metavar="FIRM/DATASET[/LAYER]",
        help="Take exactly this, whatever else sells the same; repeat. Original footage only comes with its LAYER.",
    ),
    click.option("--cheapest", is_flag=True, help="Of several that sell the same take the cheapest for each tile, not the best."),
    click.option("--newest", is_flag=True, help="Of several that sell the same take the newest, not the best."),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the options name."""

    dataset: str | None
    offers: tuple[str, ...]
    cheapest: bool
    newest: bool

    @property
    def is_given(self) -> bool:
        """Whether anything was chosen at all."""
        return bool(self.dataset or self.offers or self.cheapest or self.newest)

    def as_json(self) -> dict[str, Any]:
        """The fields `dataset` and `choice` of a request, as far as they were given.

        Raises: Invalid: `cli.choice`.
        """
        if self.cheapest + self.newest + bool(self.offers) > 1:
            raise Invalid("cli.choice", "Give one of --offer, --cheapest and --newest.")
        choice: dict[str, Any] = {}
        if self.offers:
            choice = {"take": list(self.offers), "only": True}
        elif self.cheapest or self.newest:
            choice = {"prefer": "cheapest" if self.cheapest else "newest"}
        return {**({"dataset": self.dataset} if self.dataset else {}), **({"choice": choice} if choice else {})}


def with_choice(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with these options; it takes them as one argument, `chosen`."""

    @wraps(command)
    def run(dataset: str | None, offers: tuple[str, ...], cheapest: bool, newest: bool, **rest: Any) -> Any:
        return command(chosen=Chosen(dataset, offers, cheapest, newest), **rest)

    for option in reversed(_CHOICE_OPTIONS):
        run = option(run)
    return run


_OUTPUT_OPTIONS = (
    click.option(
        "--format", "names", multiple=True, type=click.Choice(NAMES), metavar="F", help=f"Format of the file: {', '.join(NAMES)}."
    ),
    click.option("--crs", metavar="EPSG:N", help="Coordinate reference system of the file. Default: that of the tiles."),
    click.option("--heights", metavar="NAME", help=f"Above what its heights count: {', '.join(DATUMS)}. Default: as in the tiles."),
)


@dataclass(frozen=True, slots=True)
class Output:
    """What tiles are to be written as, as it was typed."""

    names: tuple[str, ...]
    crs: str | None
    heights: str | None

    def formats(self) -> list[WrittenFormat]:
        """The formats that were named.

        Raises: Invalid: `cli.output`: none was, but a system or heights.
        """
        if not self.names and (self.crs or self.heights):
            raise Invalid("cli.output", f"Name the format of the file too: --format {NAMES[0]}, {', '.join(NAMES[1:])}.")
        return [format_named(name) for name in dict.fromkeys(self.names)]

    def format_of(self, out: Path) -> WrittenFormat:
        """The format of one file. Raises: Invalid: `join.format`."""
        if len(self.names) > 1:
            raise Invalid("join.format", "One file has one format; give --format once.")
        return format_of(out, self.names[0] if self.names else None)

    def target(self) -> Target:
        """Where coordinates are to be. Raises: Invalid: `join.crs`, `join.heights`."""
        return target_of(self.crs, self.heights)


def with_output(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the options of what is written; it takes them as one argument, `wanted`."""

    @wraps(command)
    def run(names: tuple[str, ...], crs: str | None, heights: str | None, **rest: Any) -> Any:
        return command(wanted=Output(names, crs, heights), **rest)

    return _with_options(run, _OUTPUT_OPTIONS)
