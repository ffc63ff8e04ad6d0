"""What a caged child answered, checked by code that believes none of it.

Every number is a number in its range, every path is a plain file inside the folder, every digest is computed again. Anything else is
`Invalid("reader.bad_answer")`: the child was taken over, or mapex has a fault; nothing of it is used.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ingest.cage.paths import open_plain
from ingest.fingerprint import Fingerprint
from ingest.formats import READERS
from ingest.reader import Placed
from mapex.catalogue.draft import Counts, DraftLayer, LayerFacts
from mapex.catalogue.finding import Finding, Severity
from mapex.errors import Invalid
from mapex.intake.placement import Known
from tiles.batch import Content, EncodedTile, LayerKind, Quantities
from tiles.box import Box
from tiles.formats import of_media_type

T = TypeVar("T")

_MOST = 2**53  # integers that JSON readers everywhere keep exactly
_LAYER = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CODE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_TEXT = 2000
_LARGEST = sys.float_info.max
_FARTHEST_M = 1e6
MOST_FINDINGS = 5000


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What was found in one source, after the check: its format, where it is placed, what it gave to each layer."""

    format: str
    placed: Placed
    layers: Mapping[str, DraftLayer]
    findings: tuple[Finding, ...]
    fingerprint: Fingerprint = Fingerprint()


def _refuse(what: str) -> NoReturn:
    raise Invalid("reader.bad_answer", f"The caged reader answered something impossible ({what}); nothing of it is used.")


def _whole(value: object, what: str, least: int = 0, most: int = _MOST) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        _refuse(what)
    return value


def _text(value: object, what: str, most: int = _TEXT) -> str:
    if not isinstance(value, str) or len(value) > most:
        _refuse(what)
    # PostgreSQL text cannot hold NUL, and no database a lone surrogate (a name in an unknown encoding).
    return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _fraction(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:  # NaN is no smaller than anything
        _refuse(what)
    return float(value)


def _flag(value: object, what: str) -> bool:
    return value if isinstance(value, bool) else _refuse(what)


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else _refuse(what)


def _list(value: object, what: str, most: int) -> Sequence[Any]:
    return value if isinstance(value, list) and len(value) <= most else _refuse(what)


def _word(kind: Callable[[str], T], value: object, what: str) -> T:
    try:
        return kind(_text(value, what, 64))
    except ValueError:
        _refuse(what)


def _box(value: object, what: str) -> Box:
    west, south, east, north = (
        _fraction(v, what) for v in (_list(value, what, 4) if isinstance(value, list) and len(value) == 4 else _refuse(what))
    )
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        _refuse(what)
    return Box(west, south, east, north)


def _own(value: object) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (_fraction(v, "own box") for v in (value if isinstance(value, list) and len(value) == 4 else _refuse("own box")))
    if not (x0 <= x1 and y0 <= y1):
        _refuse("own box")
    return x0, y0, x1, y1


def tile_from_json(value: object, part: int | None = None) -> EncodedTile:
    """The tile record of a JSON object; its path must be the one that its layer, cell and part have.

    Raises: Invalid: `reader.bad_answer`.
    """
    from tiles.grid.grid import ZOOM, quadkey  # brings numpy, which a look at a file (`inspect`) does not need

    record = _mapping(value, "tile")
    layer = _text(record.get("layer"), "layer", 32)
    if not _LAYER.fullmatch(layer):
        _refuse("layer")
    cell = _whole(record.get("cell"), "cell", most=4**ZOOM - 1)
    number = _whole(record.get("part"), "part", most=10**6)
    if part is not None and number != part:
        _refuse("part")
    form = of_media_type(_text(record.get("media_type"), "media type", 64))
    if form is None:
        _refuse("media type")
    path = form.path(layer, quadkey(cell), number)
    sha256 = _text(record.get("sha256"), "sha256", 64)
    if record.get("path") != path or not _SHA256.fullmatch(sha256):
        _refuse("path or sha256")
    given = _mapping(record.get("quantities"), "quantities")
    quantities = Quantities(**{f.name: _whole(given.get(f.name), f.name) for f in fields(Quantities)})
    size = _whole(record.get("size"), "size", least=1)
    if quantities.bytes != size:
        _refuse("bytes")
    return EncodedTile(layer, cell, number, path, sha256, size, form.media_type, quantities, _box(record.get("bbox"), "bbox"))


def tile_as_json(tile: EncodedTile) -> dict[str, Any]:
    """The JSON object of a tile record."""
    return {**asdict(tile), "bbox": list(tile.bbox)}


def check_file(folder: Path, tile: EncodedTile) -> None:
    """Whether the file of a record is there, a plain file of its own, and has the bytes that the record states.

    Raises: Invalid: `reader.bad_answer`.
    """
    layer, _, name = tile.path.partition("/")
    try:
        stream = open_plain(folder, layer, name)
    except OSError as why:
        text = f"The caged reader named a tile file that is none ({tile.path}); nothing of it is used."
        raise Invalid("reader.bad_answer", text) from why
    with stream:
        if os.fstat(stream.fileno()).st_size != tile.size:
            _refuse(f"file {tile.path}")
        form = of_media_type(tile.media_type)
        if form is None or not form.fits(stream.read(512)):
            _refuse(f"type of {tile.path}")
        stream.seek(0)
        if hashlib.file_digest(stream, "sha256").hexdigest() != tile.sha256:
            _refuse(f"sha256 of {tile.path}")


def finding_from_json(value: object, file: str) -> Finding:
    """One finding of a report; `file` is what the source is called, when the finding names nothing."""
    record = _mapping(value, "finding")
    code = _text(record.get("code"), "code", 64)
    if not _CODE.fullmatch(code):
        _refuse("code")
    lon, lat = (None if record.get(name) is None else _fraction(record[name], name) for name in ("lon", "lat"))
    return Finding(
        severity=_word(Severity, record.get("severity"), "severity"),
        code=code,
        file=_text(record.get("file"), "file") or file,
        layer=_text(record.get("layer"), "layer"),
        feature=_text(record.get("feature"), "feature"),
        value=_text(record.get("value"), "value"),
        message=_text(record.get("message"), "message"),
        fix=_text(record.get("fix"), "fix"),
        lon=lon,
        lat=lat,
        count=_whole(record.get("count"), "count"),
        rejected=_whole(record.get("rejected"), "rejected"),
    )


def _layer_from_json(name: str, value: object, placed: Placed) -> DraftLayer:
    record = _mapping(value, "layer")
    given = _mapping(record.get("counts"), "counts")
    counts = Counts(**{f.name: _whole(given.get(f.name), f.name) for f in fields(Counts)})
    if not counts.balance:
        _refuse("counts do not add up")
    times = [record.get(name) for name in ("first_ns", "last_ns")]
    first, last = (None if t is None else _whole(t, "time", least=-(2**63), most=2**63 - 1) for t in times)
    facts = LayerFacts(
        counts=counts,
        box=None if record.get("box") is None else _box(record["box"], "box"),
        own=None if record.get("own") is None else _own(record["own"]),
        crs=placed.crs,
        crs_source=placed.crs_source,
        height_datum=placed.height_datum,
        height_source=placed.height_source,
        note=placed.note,
        accuracy_m=placed.accuracy_m,
        footage=_flag(record.get("footage"), "footage"),
        first_ns=first,
        last_ns=last,
    )
    return DraftLayer(name, _word(LayerKind, record.get("kind"), "kind"), _word(Content, record.get("content"), "content"), facts)


def _placed_from_json(record: Mapping[str, Any]) -> Placed:
    crs = record.get("crs")
    return Placed(
        crs=None if crs is None else _text(crs, "crs", 100_000),
        crs_source=_word(Known, record.get("crs_source"), "crs_source"),
        height_datum=_text(record.get("height_datum"), "height datum", 200),
        height_source=_word(Known, record.get("height_source"), "height_source"),
        note=_text(record.get("note"), "note"),
        accuracy_m=_metres(record.get("accuracy_m")),
    )


def _fingerprint(value: object) -> Fingerprint:
    record = _mapping({} if value is None else value, "fingerprint")
    records, vertices = (_whole(record.get(name, 0), name) for name in ("records", "vertices"))
    return Fingerprint(records, vertices, *(_fraction(record.get(name, 0.0), name) for name in ("x", "y", "length")))


def part_from_json(value: object) -> int:
    """The number of a source.

    Raises: Invalid: `reader.bad_answer`.
    """
    return _whole(value, "part", most=10**6)


def inside_from_json(value: object) -> str:
    """The name of a source in its zip, in one line of letters that can be shown; "" when it is in none.

    Raises: Invalid: `reader.bad_answer`.
    """
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in _text(value, "name", 255))


def _metres(value: object) -> float | None:
    number = None if value is None else _fraction(value, "accuracy")
    return number if number is None or 0.0 <= number <= _FARTHEST_M else _refuse("accuracy")


def report_from_json(value: object, name: str) -> SourceReport:
    """The report of a source called `name`.

    Raises: Invalid: `reader.bad_answer`.
    """
    record = _mapping(value, "report")
    format_ = _text(record.get("format"), "format", 64)
    if format_ not in READERS:
        _refuse("format")
    layers = _mapping(record.get("layers"), "layers")
    if len(layers) > 64 or not all(_LAYER.fullmatch(layer) for layer in layers):
        _refuse("layers")
    placed = _placed_from_json(record)
    return SourceReport(
        format=format_,
        placed=placed,
        layers={layer: _layer_from_json(layer, about, placed) for layer, about in layers.items()},
        findings=tuple(finding_from_json(f, name) for f in _list(record.get("findings"), "findings", MOST_FINDINGS)),
        fingerprint=_fingerprint(record.get("fingerprint")),
    )
