"""The second caged task: open every written tile again and recount it, in a cage that never saw the upload.

A reader that was taken over can write what it likes; only what an honest program finds in its tiles is sold, and as `original` when it
cannot be proven to be free of pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ingest.cage.answer import tile_from_json
from ingest.findings import unproven
from tiles.batch import EncodedTile
from tiles.footage.doubts import Doubts, Unproven


class _Once:
    """Tells of each doubt once a layer and part, in bounded number."""

    def __init__(self, emit: Callable[[Mapping[str, Any]], None]) -> None:
        self._emit, self._doubts = emit, dict[tuple[int, str], Doubts]()

    def take(self, tile: EncodedTile, doubt: Unproven) -> None:
        known = self._doubts.setdefault((tile.part, tile.layer), Doubts())
        if known.add(*doubt):
            self._emit({"doubt": unproven(doubt, layer=tile.layer).as_json(), "part": tile.part})


def verify(request: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]) -> None:
    """The caged task `verify`: the folder `reads` holds `records.jsonl` and `tiles/`; answers lines.

    `{"verified": n}` at the end, `{"bad": ...}` for a tile that is not what its record says, `{"doubt": finding, "part": n}` once for each
    thing in the tiles of a layer that may be a picture.
    """
    from tiles.recount import verify_each

    folder = Path(request["reads"])
    good = 0
    with (folder / "records.jsonl").open(encoding="utf-8") as lines:
        tiles = (tile_from_json(json.loads(line)) for line in lines)
        doubts = _Once(emit)
        for tile, why in verify_each(((folder / "tiles" / tile.path, tile) for tile in tiles), doubts.take):
            if why is not None:
                emit({"bad": {"path": tile.path, "message": why.message}})
                continue
            good += 1
            if good % 200 == 0:
                emit({"progress": {"stage": "verify", "done": good, "total": int(request["total"]), "file": request["name"]}})
    emit({"verified": good})
