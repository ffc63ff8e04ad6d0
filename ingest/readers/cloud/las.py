"""LAS, LAZ and COPC: header arithmetic of our own, then laspy's names for the fields of the points.

The header is never believed: its counts are compared with what is there, its box and its coordinate system with the points.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from ingest.findings import error, info, warning
from ingest.placing.resolve import findings as placement_findings
from ingest.placing.resolve import with_record
from ingest.reader import Placed, Source, Survey
from ingest.readers.cloud.cloud import LAYER, Cloud, Columns, Floats, box, file_of, local_axes, settle
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Known, Placement
from tiles.batch import TILE_KEY, Batch, Content, LayerKind
from tiles.errors import InvalidContent
from tiles.points.crs import PLACING_RECORD, FileCrs, contradicts, file_crs
from tiles.points.fields import columns_of, point_format
from tiles.points.header import WKT_FLAG, Header, read_header
from tiles.points.laz import Packing
from tiles.points.records import SplitCounts, all_records
from tiles.points.splitter import LAS_HEADER, header_as_text

_ENDINGS = (".las", ".laz")
_SAMPLE = 1000
_WITHOUT_TIME = frozenset({0, 2})


class Las:
    """Reader of LAS 1.0 to 1.4, LAZ and COPC."""

    format = "las"
    layer = LAYER
    kind = LayerKind.POINTCLOUD
    content = Content.POINTS

    def survey(self, source: Source, given: Placement) -> Survey:
        """Header, records and some true points (the first of each packed chunk).

        Raises: InvalidContent: the file is no LAS, or its header contradicts its own length (`las.*`, `laz.*`).
        """
        source = file_of(source, *_ENDINGS)
        with source.path.open("rb") as stream:
            header = read_header(stream)
            sample = _sample(stream, header)
        stated = file_crs(header)
        placed, found = settle(stated.crs, given, sample, stated.problem if not given.crs else "", source.name)
        placed = with_record(placed, record.data if (record := header.vlr(TILE_KEY, PLACING_RECORD)) is not None else None)
        found += placement_findings(placed, file=source.name, layer=LAYER) if placed.is_known or not found else []
        found += [*_about_records(stated, header, placed, source.name), *local_axes(placed, source.name)]
        low, high = _box(header, sample)
        found += [*_about_counts(header, source.name), *_about_fields(header, source.name), *_about_box(header, sample, source.name)]
        found += [*_about_units(header, placed, source.name), *_about_waves(header, source.name)]
        details = {
            "version": f"{header.version[0]}.{header.version[1]}",
            "point_format": str(header.point_format),
            "compressed": str(header.compressed),
            "scales": " ".join(map(repr, header.scales)),
            "offsets": " ".join(map(repr, header.offsets)),
            "height_unit": stated.height_unit,
            "file_crs": stated.crs.name if stated.crs is not None else "",
            "box_in_file": " ".join(repr(float(v)) for v in (*low, *high)),
        }
        return Survey(self.format, (LAYER,), header.count, placed, box(placed.crs, low, high), tuple(found), details)

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All points with every field of theirs, as stored."""
        source = file_of(source, *_ENDINGS)
        tally = SplitCounts()
        with source.path.open("rb") as stream:
            header = read_header(stream)
            form = point_format(header)
            cloud = Cloud(source, placed, {LAS_HEADER: header_as_text(header), "format": "las"}, float32=False)
            for records in all_records(stream, header, tally):
                columns: Columns = columns_of(records, header, form)
                yield from cloud.batches(columns)
        if tally.fault and not tally.lost:
            yield error("las.damaged", tally.fault, "Export or upload it again.", file=source.name, layer=LAYER)
        for finding in cloud.findings(header.count):
            missing = finding.code == "points.missing" and tally.fault
            yield _with_reason(finding, tally.fault) if missing else finding


def _with_reason(finding: Finding, reason: str) -> Finding:
    return error(finding.code, f"{finding.message} {reason}", finding.fix, file=finding.file, layer=finding.layer)


def _sample(stream: BinaryIO, header: Header) -> tuple[Floats, Floats, Floats]:
    """x, y, z of at most a thousand points from all over the file."""
    packing = Packing(header)
    chunks = packing.chunks(stream, header)
    if chunks is not None:
        # The first point of a chunk is not packed.
        places = [chunk.at for chunk in chunks[:: max(1, len(chunks) // _SAMPLE)]]
    elif not header.compressed:
        there = min(header.count, header.room or 0)
        places = [header.point_offset + i * header.stored_length for i in range(0, there, max(1, there // _SAMPLE))]
    else:
        return _streamed_sample(stream, header, packing)
    rows = []
    for at in places[: 2 * _SAMPLE]:
        stream.seek(at)
        rows.append(stream.read(12))
    return _coordinates(b"".join(row for row in rows if len(row) == 12), header)


def _streamed_sample(stream: BinaryIO, header: Header, packing: Packing) -> tuple[Floats, Floats, Floats]:
    try:
        records = next(packing.stream(stream, header, min(_SAMPLE, header.count)), None)
    except InvalidContent:
        records = None  # `read` reports what is wrong, and how much could be read
    return _coordinates(b"" if records is None else records[:, :12].tobytes(), header)


def _coordinates(body: bytes, header: Header) -> tuple[Floats, Floats, Floats]:
    xyz = np.frombuffer(body, "<i4").reshape(-1, 3) * np.array(header.scales) + np.array(header.offsets)
    return xyz[:, 0], xyz[:, 1], xyz[:, 2]


def _box(header: Header, sample: tuple[Floats, Floats, Floats]) -> tuple[Floats, Floats]:
    """Least and greatest x, y, z: the header's, unless the sample shows that it is false."""
    if _holds(header, sample):
        return np.array(header.mins), np.array(header.maxs)
    return np.array([v.min() for v in sample]), np.array([v.max() for v in sample])


def _holds(header: Header, sample: tuple[Floats, Floats, Floats]) -> bool:
    """Whether the box in the header holds the points of the sample (true where there is none)."""
    if not len(sample[0]):
        return True
    low, high, slack = np.array(header.mins), np.array(header.maxs), 2 * np.abs(np.array(header.scales))
    seen_low, seen_high = np.array([v.min() for v in sample]), np.array([v.max() for v in sample])
    return bool(np.isfinite([low, high]).all() and (low - slack <= seen_low).all() and (seen_high <= high + slack).all())


def _about_box(header: Header, sample: tuple[Floats, Floats, Floats], file: str) -> list[Finding]:
    if _holds(header, sample):
        return []
    text = "The box in the header does not hold the points of the file."
    value = " ".join(f"{v:g}" for v in (*header.mins, *header.maxs))
    return [warning("las.box", text, "Nothing to do: tiles get a box that was measured.", file=file, layer=LAYER, value=value)]


def _about_counts(header: Header, file: str) -> list[Finding]:
    where = {"file": file, "layer": LAYER}
    room = header.room
    if room is not None and room > header.count:
        text = f"The header states {header.count} points; the file has room for {room}."
        return [error("las.count", text, "Export it again, with a header that is right.", value=str(header.count), **where)]
    if not header.count:
        return [error("points.none", "The file holds no points.", "Export it again.", **where)]
    returns = sum(header.by_return)
    if returns > header.count:
        text = f"The header counts {returns} returns and {header.count} points."
        return [warning("las.returns", text, "Nothing to do: tiles get counts that were measured.", **where)]
    return []


def _about_fields(header: Header, file: str) -> list[Finding]:
    if header.point_format in _WITHOUT_TIME or header.encoding & 1:
        return []
    text = "GPS time in this file is counted within a week: it states no date (or the header does not state otherwise)."
    return [info("las.week_time", text, "Give the date in the description of the data set.", file=file, layer=LAYER)]


def _about_records(stated: FileCrs, header: Header, placed: Placed, file: str) -> list[Finding]:
    """A WKT record and GeoTIFF keys that say different places."""
    if not contradicts(stated, header) or stated.crs is None or stated.other is None:
        return []
    holds, fails = ("WKT record", "GeoTIFF keys") if stated.by_wkt else ("GeoTIFF keys", "WKT record")
    why = "the WKT bit of the header is on" if header.encoding & WKT_FLAG else "the WKT bit of the header is off"
    if stated.by_wkt and not header.encoding & WKT_FLAG:
        why = f"points of format {header.point_format} have WKT only"
    text = (
        f"The file states two coordinate systems that contradict: {stated.crs.name!r} ({holds}) and {stated.other.name!r} ({fails}). "
        f"By the standard the first one holds, since {why}."
    )
    fix = "Check the box on the map; give --crs to settle it, and write one record only."
    make = info if placed.crs_source is Known.GIVEN else warning
    return [make("crs.two_records", text, fix, file=file, layer=LAYER, value=f"{stated.crs.name} / {stated.other.name}"[:200])]


def _about_waves(header: Header, file: str) -> list[Finding]:
    """Waveforms, which tiles cannot hold: the points come in without them."""
    if not header.waves or not header.count:
        return []
    text = f"{header.count} points refer to waveforms; the points were taken, waveforms and references to them were left out."
    fix = "Nothing to do if the points are meant; keep the file for the waveforms."
    return [warning("las.waves_left_out", text, fix, file=file, layer=LAYER, count=header.count)]


def _about_units(header: Header, placed: Placed, file: str) -> list[Finding]:
    """Feet, where they are stated; heights whose unit nobody states, where the map is in feet."""
    from ingest.placing.systems import horizontal, parsed

    if placed.crs is None:
        return []
    flat = horizontal(parsed(placed.crs))
    unit = flat.axis_info[0].unit_name if flat.axis_info else ""
    height = file_crs(header).height_unit
    if "foot" not in unit.lower() and "foot" not in height.lower():
        return []
    text = f"East and north are in {unit}, heights in {height or 'a unit that the file does not name'}; tiles keep them so."
    return [info("las.feet", text, "Nothing to do; the tile names its units.", file=file, layer=LAYER, value=unit)]
