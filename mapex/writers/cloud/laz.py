"""LAZ 1.4: one file of all tiles of a cloud, with every field. Coordinates that are not moved keep their integers.

Tiles whose integers need no change are not unpacked: their packed chunks are laid one behind another.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from mapex.writers.changes import Changes
from mapex.writers.cloud.points import EXTRA_BYTES, BoughtCloud, CloudTile, without_range, xyz_of
from tiles.batch import TILE_KEY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tiles.points.header import Header
    from tiles.points.laz import Packing, Records
    from tiles.points.tile import Facts

FORMAT = "LAZ"
_STEPS_M, _STEPS_DEGREES = (1e-4, 1e-3, 1e-2), (1e-9, 1e-8, 1e-7)
"""Scales of coordinates that are moved, from fine to coarse: a tenth of a millimetre, where 32 bits reach so far."""
_REACH = 2**31 - 2**16


class Steps(NamedTuple):
    """Scale and offset of the integers of a file, by axis."""

    scales: tuple[float, float, float]
    offsets: tuple[float, float, float]


def write(cloud: BoughtCloud, path: Path, changes: Changes) -> int:
    """See `mapex.writers.formats.CloudWriter`."""
    import laspy

    from tiles.points.header import header_bytes
    from tiles.points.laz import Packing

    del changes  # LAZ holds all that tiles do, since they are LAZ
    first = cloud.tiles[0].header
    steps, packing = steps_of(cloud), Packing(first)
    template = replace(template_of(cloud, packing.tile_record), scales=steps.scales, offsets=steps.offsets)
    with path.open("w+b") as file:
        file.write(header_bytes(template) + struct.pack("<q", -1))
        sink = _Chunks(packing, first.point_format)
        for number, tile in enumerate(cloud.tiles, 1):
            if _is_copied(cloud, tile, steps, packing):
                sink.copy(tile, file)
            else:
                for records in cloud.records_of(tile):
                    file.write(sink.packed(stepped(cloud, tile, records, steps)))
            cloud.progress(number, len(cloud.tiles))
        _close(file, template, sink)
    with laspy.open(path) as reader:
        return int(reader.header.point_count)


def steps_of(cloud: BoughtCloud) -> Steps:
    """Those of the tiles where all agree, or differ by whole steps; else steps of a tenth of a millimetre."""
    import numpy as np

    first = cloud.tiles[0].header
    if not cloud.shift.changes and all(_fits(tile.header, first) for tile in cloud.tiles):
        return Steps(first.scales, first.offsets)
    low, high = cloud.box
    offsets, degrees = np.floor((low + high) / 2), bool(cloud.shift.crs.is_geographic)
    scales = []
    for axis in range(3):
        reach = max(high[axis] - offsets[axis], offsets[axis] - low[axis]) + 1.0
        steps = _STEPS_DEGREES if degrees and axis < 2 else _STEPS_M
        scales.append(next((step for step in steps if reach / step < _REACH), steps[-1]))
    return Steps((scales[0], scales[1], scales[2]), (float(offsets[0]), float(offsets[1]), float(offsets[2])))


def _fits(header: Header, first: Header) -> bool:
    """Whether the integers of a tile become those of another by adding whole numbers, and 32 bits hold them."""
    if header.scales != first.scales:
        return False
    for scale, one, other, low, high in zip(header.scales, header.offsets, first.offsets, header.mins, header.maxs, strict=True):
        apart = (one - other) / scale
        if abs(apart - round(apart)) > 1e-6 or max(abs(low - other), abs(high - other)) / abs(scale) >= _REACH:
            return False
    return True


def _is_copied(cloud: BoughtCloud, tile: CloudTile, steps: Steps, packing: Packing) -> bool:
    """Whether the packed chunks of a tile are what the file is to hold."""
    same = not cloud.shift.changes and (tile.header.scales, tile.header.offsets) == steps
    return same and tile.record("laszip encoded", 22204) == packing.tile_record


def stepped(cloud: BoughtCloud, tile: CloudTile, records: Records, steps: Steps) -> Records:
    """Records with their coordinates as integers of the file."""
    import numpy as np

    header = tile.header
    if not cloud.shift.changes and (header.scales, header.offsets) == steps:
        return records
    out = np.ascontiguousarray(records).copy()
    scales, offsets = np.array(steps.scales), np.array(steps.offsets)
    if not cloud.shift.changes and header.scales == steps.scales:
        apart = np.rint((np.array(header.offsets) - offsets) / scales).astype(np.int64)
        whole: NDArray[np.int64] = records[:, :12].copy().view("<i4").astype(np.int64) + apart
    else:
        whole = np.rint((cloud.shift.of(xyz_of(records, header)) - offsets) / scales).astype(np.int64)
    out[:, :12] = whole.astype("<i4").view(np.uint8).reshape(len(out), 12)
    return out


def template_of(cloud: BoughtCloud, laszip: bytes) -> Header:
    """The head of the file, without what only its points show."""
    from tiles.points.crs import PLACING_RECORD, placing_records, tile_records, wkt_record
    from tiles.points.header import tile_template

    tile = cloud.tiles[0]
    shift = cloud.shift
    records, wkt = tile_records(tile.header, shift.crs)
    if shift.changes:
        records, wkt = (*(one for one in records if one.user not in ("LASF_Projection", "liblas")), wkt_record(shift.crs)), True
    if len({other.record(*EXTRA_BYTES) for other in cloud.tiles}) > 1:
        records = tuple(one._replace(data=without_range(one.data)) if (one.user, one.record) == EXTRA_BYTES else one for one in records)
    if shift.heights != shift.given:
        stated = {**json.loads(tile.record(TILE_KEY, PLACING_RECORD) or b"{}"), "height_datum": shift.heights, "height_source": "file"}
        records = placing_records(records, json.dumps(stated))
    return tile_template(tile.header, records, wkt=wkt, laszip=laszip)


@dataclass(slots=True)
class _Chunks:
    """The packed chunks of a file: their table, and what the head has to state about all points."""

    packing: Packing
    point_format: int
    table: list[tuple[int, int]]
    facts: Facts | None

    def __init__(self, packing: Packing, point_format: int) -> None:
        self.packing, self.point_format, self.table, self.facts = packing, point_format, [], None

    def packed(self, records: Records) -> bytes:
        """Some points, packed."""
        from tiles.points.laz import CHUNK
        from tiles.points.tile import Facts

        groups: Sequence[Records] = [records[at : at + CHUNK] for at in range(0, len(records), CHUNK)]
        if not groups:
            return b""
        bodies = self.packing.pack(groups)
        self.table += [(len(group), len(body)) for group, body in zip(groups, bodies, strict=True)]
        self._see(Facts.of(records, self.point_format))
        return b"".join(bodies)

    def copy(self, tile: CloudTile, file: BinaryIO) -> None:
        """Write the packed chunks of a tile as they are; what they hold is what its head states.

        Raises: Invalid: `join.damaged`.
        """
        import numpy as np

        from tiles.points.tile import Facts

        header = tile.header
        ends = [
            np.rint((np.array(corner) - np.array(header.offsets)) / np.array(header.scales)).astype(np.int64)
            for corner in (header.mins, header.maxs)
        ]
        for count, body in tile.chunks():
            self.table.append((count, len(body)))
            file.write(body)
        self._see(Facts(np.minimum(*ends), np.maximum(*ends), np.array((*header.by_return, *(0,) * 15)[:15], np.int64)))

    def _see(self, facts: Facts) -> None:
        self.facts = facts if self.facts is None else self.facts | facts


def _close(file: BinaryIO, template: Header, sink: _Chunks) -> None:
    """The table of chunks behind them, long records, and the head again, now with what it states about the points."""
    import numpy as np

    from tiles.points.header import evlr_bytes, header_bytes

    at = file.tell()
    file.write(sink.packing.table_bytes(sink.table))
    behind = file.tell()
    file.write(evlr_bytes(template))
    count, header = sum(count for count, _ in sink.table), template
    if sink.facts is not None:
        scales, offsets = np.array(template.scales), np.array(template.offsets)
        ends = np.sort([sink.facts.low * scales + offsets, sink.facts.high * scales + offsets], axis=0).tolist()
        by_return = tuple(sink.facts.by_return.tolist())
        header = replace(template, count=count, by_return=by_return, mins=tuple(ends[0]), maxs=tuple(ends[1]))
    file.seek(0)
    file.write(header_bytes(header, behind if header.evlrs else 0) + struct.pack("<q", at))
