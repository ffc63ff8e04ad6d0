"""Geotagged photos: one JPEG or a folder of them. The files are carried untouched; only place and time are read from them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.findings import error, info, warning
from ingest.reader import Placed, Source, Survey
from ingest.readers.recordings.exif import EXIF_IFD, GPS_IFD, Taken, taken
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content, LayerKind
from tiles.box import Box

LARGEST = 64 << 20
"""Bytes of one photo."""
BATCH_BYTES = 32 << 20
_LOOKED_AT = 50
_JPEG = b"\xff\xd8\xff"

_COLUMNS = pa.schema(
    [
        ("t_ns", pa.int64()), ("lon", pa.float64()), ("lat", pa.float64()), ("h", pa.float64()), ("topic", pa.string()),
        ("seq", pa.int64()), ("name", pa.string()), ("size", pa.int64()), ("payload", pa.large_binary()),
    ]
)  # fmt: skip
"""Columns of a batch; `t_ns` is 0 when nobody knows, `name` the path in the folder."""


class Photos:
    """JPEG photos with a position in EXIF or XMP."""

    format = "photos"
    layer = "photos"
    kind = LayerKind.PHOTOS
    content = Content.FRAMES

    def survey(self, source: Source, given: Placement) -> Survey:
        """Number of files, and the box of the first fifty with a position (all are looked at when none of these has one)."""
        west, south, east, north = 181.0, 91.0, -181.0, -91.0
        seen = 0
        for path in source.files:
            found = _look(path, whole=False)
            if isinstance(found, Taken) and found.lon is not None and found.lat is not None:
                west, south, east, north = min(west, found.lon), min(south, found.lat), max(east, found.lon), max(north, found.lat)
                seen += 1
            if seen >= _LOOKED_AT:
                break
        height, height_source = (given.height_datum, Known.GIVEN) if given.height_datum else ("mean sea level", Known.GUESSED)
        findings: tuple[Finding, ...] = ()
        if seen:
            placed = Placed("EPSG:4326", Known.FILE, height, height_source, given.origin, "EXIF heights count from the sea by definition.")
        elif given.origin is not None:
            note = "No photo states where it was taken; all were put where the uploader placed them."
            placed = Placed("EPSG:4326", Known.GIVEN, height, height_source, given.origin, note)
        else:
            placed = Placed(None, Known.NONE)
            text = f"{source.name}: no photo says where it was taken (EXIF or XMP GPS)."
            fix = "Upload the originals (messengers and editors strip the position), or give --origin LON,LAT."
            findings = (error("crs.none", text, fix, file=source.name, layer=self.layer),)
        box = Box(west, south, east, north) if seen else None
        return Survey(self.format, (self.layer,), len(source.files), placed, box, findings)

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """Photos in order of their names; one without a position keeps its row, with NaN, unless the uploader gave an origin."""
        rows: list[tuple[Any, ...]] = []
        size = 0
        for number, path in enumerate(source.files):
            name = source.label(path)
            where = {"file": source.name, "layer": self.layer, "feature": name}
            found = _look(path, whole=True)
            if isinstance(found, str):
                fix = "Copy it from the camera again, or leave it out."
                yield error("photo.unreadable", f"{name}: {found}", fix, rejected=1, **where)
                continue
            yield from _doubts(found, name, where)
            if size and size + path.stat().st_size > BATCH_BYTES:
                yield _batch(rows, self.layer)
                rows, size = [], 0
            with path.open("rb") as stream:
                body = stream.read(LARGEST)
            lon, lat, h = found.lon, found.lat, found.h
            if lon is None and placed.origin is not None:
                lon, lat, h = placed.origin
                yield info("photo.put", f"{name} does not state where it was taken; it was put where the uploader placed it.", **where)
            nowhere = float("nan")
            at = (nowhere, nowhere) if lon is None else (lon, lat)
            rows.append((found.t_ns or 0, *at, h, "", number, name, len(body), body))
            size += len(body)
        if rows:
            yield _batch(rows, self.layer)


def _doubts(found: Taken, name: str, where: dict[str, str]) -> Iterator[Finding]:
    for doubt in found.doubts:
        yield warning("photo.doubt", f"{name}: {doubt}.", "Check the clock and the receiver of the camera.", **where)
    if found.from_xmp:
        yield info("photo.xmp", f"{name} has its position in XMP only.", "Check that nobody edited it.", **where)
    if found.t_ns is None:
        yield info(
            "photo.no_time", f"{name} does not say when it was taken (in UTC, or with an offset).", "Set the zone in the camera.", **where
        )


def _batch(rows: list[tuple[Any, ...]], layer: str) -> Batch:
    arrays = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), _COLUMNS.types, strict=True)]
    return Batch(Content.FRAMES, layer, LayerKind.PHOTOS, pa.Table.from_arrays(arrays, schema=_COLUMNS))


def _look(path: Path, *, whole: bool) -> Taken | str:
    """Place and time of a photo, or why it cannot be used. `whole`: also decode it, at an eighth, to see that nothing is cut off."""
    from PIL import Image, UnidentifiedImageError

    size = path.stat().st_size
    if size > LARGEST:
        return f"{size} bytes; at most {LARGEST} are read."
    with path.open("rb") as stream:
        if stream.read(3) != _JPEG:
            return "it is not a JPEG, whatever its name says."
    try:
        # An enormous picture is a warning to Pillow; here it ends the reading, before a pixel is unpacked.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("JPEG", "MPO")) as image:
                exif = image.getexif()
                found = taken(dict(exif.get_ifd(GPS_IFD)), dict(exif.get_ifd(EXIF_IFD)), image.info.get("xmp", b""))
                if whole:
                    image.draft("RGB", (image.width // 8, image.height // 8))
                    image.load()
                return found
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return "it has more pixels than are read here (89 million)."
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError) as why:
        # Pillow meets damage in many places and says so in as many ways.
        return f"it is cut or damaged ({why})."
