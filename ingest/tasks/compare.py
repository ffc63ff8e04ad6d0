"""The caged task `compare`: what became of the features, points and frames of some cells.

The first of the two folders holds tiles of the version before, the second those of now, each with `records.jsonl`. Cells are compared one
by one; of features those of the cells around are there too, so that what left a cell by a hair is found.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mapex.rules import accuracy
from mapex.rules.accuracy import STEPS_MM, UNKNOWN_SHIFT
from tiles.arrays import gained
from tiles.features.difference import CellDifference, CellFeatures, difference, features_of
from tiles.features.nearness import UNMEASURED
from tiles.formats import GEOPARQUET, LAZ, MP4
from tiles.grid import grid

_EXAMPLES = 5
_MOST_NAMES = 200


class _TileFolder:
    """The tiles of one of the two versions."""

    def __init__(self, folder: Path) -> None:
        self._paths: dict[tuple[str, int], list[tuple[str, Path]]] = {}
        with (folder / "records.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                tile = json.loads(line)
                key = tile["layer"], tile["cell"]
                self._paths.setdefault(key, []).append((tile["media_type"], folder / "tiles" / tile["path"]))

    def paths(self, layer: str, cell: int) -> list[Path]:
        """The tiles of a cell."""
        return [path for _, path in self._paths.get((layer, cell), ())]

    def media_type(self, layer: str, cell: int) -> str:
        """Of the tiles of a cell, "" without any."""
        return next((media_type for media_type, _ in self._paths.get((layer, cell), ())), "")

    def features(self, layer: str, cells: Sequence[int], centre: tuple[float, float]) -> CellFeatures:
        """The features of some cells, in metres from a place."""
        from tiles.features import codec

        return features_of((codec.read(path) for cell in cells for path in self.paths(layer, cell)), centre)


def compare(request: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]) -> None:
    """Answer `{"cell": ...}` for each of the `cells` (layer and number) of the request, and `{"compared": n}` at the end."""
    before, after = (_TileFolder(Path(folder)) for folder in request["reads"])
    for layer, cell in request["cells"]:
        kind = after.media_type(layer, cell) or before.media_type(layer, cell)
        if kind == GEOPARQUET.media_type:
            found = _of_features(before, after, layer, cell)
        elif kind == LAZ.media_type:
            found = _of_points(before.paths(layer, cell), after.paths(layer, cell))
        elif kind == MP4.media_type:
            found = _of_video(before.paths(layer, cell), after.paths(layer, cell))
        else:
            found = _of_frames(before.paths(layer, cell), after.paths(layer, cell))
        emit({"cell": {"layer": layer, "cell": cell, **found}})
    emit({"compared": len(request["cells"])})


def _of_features(before: _TileFolder, after: _TileFolder, layer: str, cell: int) -> dict[str, Any]:
    centre = grid.bounds(cell).centre

    def around() -> tuple[CellFeatures, CellFeatures]:
        near = grid.neighbours(cell)
        return before.features(layer, near, centre), after.features(layer, near, centre)

    old, new = (side.features(layer, [cell], centre) for side in (before, after))
    return _counted(difference(old, new, around))


def _counted(found: CellDifference) -> dict[str, Any]:
    moved, alone = [0] * (len(STEPS_MM) + 1), [0] * (len(STEPS_MM) + 1)
    for row, (_, um) in found.moved.items():
        step = len(STEPS_MM) if um == UNMEASURED else accuracy.step_of(um)
        moved[step] += 1
        alone[step] += row not in found.altered
    names = Counter(name for _, altered in found.altered.values() for name in altered)
    return {
        "others": found.others,
        "shift_um": min(found.farthest, UNKNOWN_SHIFT),
        "added": len(found.added),
        "removed": len(found.removed),
        "altered": len(found.altered),
        "moved": moved,
        "moved_only": alone,
        "attributes": {name[:64]: count for name, count in names.most_common(_MOST_NAMES)},
        "examples": {
            "added": _few(found.added),
            "removed": _few(found.removed),
            "altered": _few(name for name, _ in found.altered.values()),
            "moved": _few(name for name, _ in sorted(found.moved.values(), key=lambda one: -one[1])),
        },
    }


def _few(names: Iterable[str]) -> list[str]:
    return [name[:80] for _, name in zip(range(_EXAMPLES), names, strict=False)]


def _of_points(before: Sequence[Path], after: Sequence[Path]) -> dict[str, Any]:
    from tiles.points.difference import marks, same_form

    whole = same_form(before, after)
    added, removed = gained(marks(before, whole=whole), marks(after, whole=whole))
    return _rows(added, removed)


def _of_frames(before: Sequence[Path], after: Sequence[Path]) -> dict[str, Any]:
    from tiles.frames.difference import marks

    old, new = marks(before), marks(after)
    added, removed = gained(old[0], new[0])
    return _rows(added, removed, others=any(gained(old[1], new[1])))


def _of_video(before: Sequence[Path], after: Sequence[Path]) -> dict[str, Any]:
    from tiles.video.difference import marks

    return _rows(*gained(marks(before), marks(after)))


def _rows(added: int, removed: int, *, others: bool = False) -> dict[str, Any]:
    """Points and frames have no accuracy: each is there or not."""
    return {"others": others or bool(added or removed), "shift_um": 0, "added": added, "removed": removed}
