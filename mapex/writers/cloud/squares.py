"""Autoware's point cloud map: PCD files of squares of 20 m, the list of them, and the projection that they are in.

`pointcloud_map.pcd/<x>_<y>.pcd`, `pointcloud_map_metadata.yaml`, `map_projector_info.yaml`. Coordinates are metres of UTM from an origin in
the middle of the cloud (LocalCartesianUTM), since 32 bits, which is all that PCL's points have, hold UTM itself to 25 cm only.

Source: READMEs of autoware_map_loader (metadata, squares parallel to the axes, whole numbers as corners) and of
autoware_map_projection_loader; PCL takes x, y, z and intensity as 32-bit floats.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mapex.writers.changes import Changes
from mapex.writers.cloud.pcd import head_of
from mapex.writers.cloud.points import BoughtCloud, middle_of
from mapex.writers.cloud.rows import count_in, rows_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = "Autoware"
SIDE_M = 20
FOLDER, METADATA, PROJECTOR = "pointcloud_map.pcd", "pointcloud_map_metadata.yaml", "map_projector_info.yaml"
_HEIGHTS = {"ellipsoid": "WGS84", "EGM2008": "EGM2008"}
_FINE_M = 0.001
_INTENSITY = "intensity"


class _Origin(NamedTuple):
    """Zero of the map: degrees, and metres of UTM."""

    lon: float
    lat: float
    x: float
    y: float


def write(cloud: BoughtCloud, path: Path, changes: Changes) -> int:
    """See `mapex.writers.formats.CloudWriter`; the cloud is in UTM."""
    import numpy as np

    origin = _origin(cloud)
    has_intensity = _INTENSITY in cloud.fields
    record = np.dtype([(name, "<f4") for name in ("x", "y", "z", *([_INTENSITY] if has_intensity else []))])
    _note(cloud, origin, changes)
    bodies = path / FOLDER
    bodies.mkdir(parents=True)
    counts: dict[tuple[int, int], int] = {}
    for xyz, fields in cloud.columns():
        near = xyz - np.array([origin.x, origin.y, 0.0])
        rows = rows_of(record, near, {_INTENSITY: fields[_INTENSITY]} if has_intensity else {})
        for square, some in _by_square(rows):
            counts[square] = counts.get(square, 0) + len(some)
            with (bodies / f"{_name(square)}.part").open("ab") as file:
                file.write(some.tobytes())
    heads = {square: head_of(record, count) for square, count in counts.items()}
    written = sum(_finish(bodies, square, head, record) for square, head in heads.items())
    listed = [f"{_name(square)}.pcd: [{square[0]}, {square[1]}]" for square in sorted(counts)]
    (path / METADATA).write_text("\n".join([f"x_resolution: {SIDE_M}.0", f"y_resolution: {SIDE_M}.0", *listed]) + "\n")
    (path / PROJECTOR).write_text(_projector(cloud, origin))
    return written


def _origin(cloud: BoughtCloud) -> _Origin:
    from pyproj import Transformer

    lon, lat = (round(value, 6) for value in middle_of(cloud))
    x, y = Transformer.from_crs("EPSG:4326", cloud.shift.crs, always_xy=True).transform(lon, lat)
    return _Origin(lon, lat, float(x), float(y))


def _note(cloud: BoughtCloud, origin: _Origin, changes: Changes) -> None:
    import numpy as np

    for name in cloud.fields:
        if name != _INTENSITY:
            changes.add("left_out", name, count=cloud.count)
        elif cloud.fields[name] != np.dtype("<f4"):
            changes.add("as_float", name)
    if cloud.shift.heights not in _HEIGHTS:
        changes.add("named_heights", cloud.shift.heights, into="WGS84")
    far = np.abs(cloud.box - np.array([origin.x, origin.y, 0.0])).max()
    beside = float(np.spacing(np.float32(far))) / 2
    if beside > _FINE_M:
        changes.add("metres", f"{beside * 1000:.1f} mm", count=cloud.count)


def _by_square(rows: NDArray[np.void]) -> list[tuple[tuple[int, int], NDArray[np.void]]]:
    """Rows by the south-west corner of their square; a point on an edge belongs to the square east and north of it."""
    import numpy as np

    corners = np.stack([np.floor(rows[axis].astype(np.float64) / SIDE_M).astype(np.int64) * SIDE_M for axis in "xy"], axis=1)
    squares, which = np.unique(corners, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(which.ravel(), minlength=len(squares)))
    return [((int(x), int(y)), rows[some]) for (x, y), some in zip(squares.tolist(), np.split(order, ends[:-1]), strict=True)]


def _name(square: tuple[int, int]) -> str:
    return f"{square[0]}_{square[1]}"


def _finish(bodies: Path, square: tuple[int, int], head: bytes, record: np.dtype[Any]) -> int:
    """The file of a square: its head, then the rows that were gathered. Returns how many it holds."""
    part, whole = bodies / f"{_name(square)}.part", bodies / f"{_name(square)}.pcd"
    with whole.open("wb") as file, part.open("rb") as rows:
        file.write(head)
        shutil.copyfileobj(rows, file)
    part.unlink()
    return count_in(whole, len(head), record)


def _projector(cloud: BoughtCloud, origin: _Origin) -> str:
    return (
        f"projector_type: LocalCartesianUTM\nvertical_datum: {_HEIGHTS.get(cloud.shift.heights, 'WGS84')}\n"
        f"map_origin:\n  latitude: {origin.lat}\n  longitude: {origin.lon}\n  altitude: 0.0\n"
    )
